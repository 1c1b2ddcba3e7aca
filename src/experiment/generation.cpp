#include "rvsweep/experiment/generation.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "rvsweep/core/philox.hpp"
#include "rvsweep/experiment/sampler.hpp"
#include "rvsweep/intervention/decode_bias.hpp"
#include "rvsweep/intervention/v_patch.hpp"

namespace rvsweep {
namespace {

/// Plans of the bundle's rows; padding rows generate from the first context, unpatched.
std::vector<RowPlan> compile_rows(const SweepSettings& settings, const Bundle& bundle,
                                  std::int64_t n_layers) {
  std::vector<RowPlan> plans;
  for (const BundleRow& row : bundle.rows)
    plans.push_back(compile_row(settings.arms.at(static_cast<std::size_t>(row.arm.value)), row,
                                bundle.contexts, n_layers));
  const RowPlan padding = compile_row(ArmSpec{}, BundleRow{}, bundle.contexts, n_layers);
  plans.resize(static_cast<std::size_t>(bundle.shape.rows), padding);
  return plans;
}

/// Random numbers of every row and step, [steps, rows] float64.
at::Tensor uniforms(const SweepSettings& settings, const Bundle& bundle,
                    const Placement& placement) {
  const auto steps = settings.generation.max_new_tokens;
  at::Tensor numbers = at::zeros({steps, bundle.shape.rows}, at::kDouble);
  auto cell = numbers.accessor<double, 2>();
  for (std::size_t r = 0; r < bundle.rows.size(); ++r)
    for (std::int64_t t = 0; t < steps; ++t)
      cell[t][static_cast<std::int64_t>(r)] =
          sampling_uniform(settings.seed, bundle.rows[r].pair_hash, bundle.rows[r].sample, t);
  return numbers.to(placement.device);
}

/// Takes each unfinished row's new token; true while some row goes on.
bool take_tokens(const SweepSettings& settings, const at::Tensor& tokens, const at::Tensor& finite,
                 std::vector<Generated>& rows) {
  const at::Tensor tokens_on_host = tokens.to(at::kCPU), finite_on_host = finite.to(at::kCPU);
  const auto token = tokens_on_host.accessor<std::int64_t, 1>();
  const auto sound = finite_on_host.accessor<bool, 1>();
  const auto limit = static_cast<std::size_t>(settings.generation.max_new_tokens);
  bool some_go_on = false;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    Generated& row = rows[r];
    if (row.stopped_at_eos || !row.failure.empty()) continue;
    if (!sound[static_cast<std::int64_t>(r)]) {
      row.failure = "the logits of generated token " + std::to_string(row.tokens.size() + 1) +
                    " are not finite numbers";
      continue;
    }
    const auto taken = static_cast<std::int32_t>(token[static_cast<std::int64_t>(r)]);
    row.tokens.push_back(taken);
    row.stopped_at_eos =
        std::binary_search(settings.stop_tokens.begin(), settings.stop_tokens.end(), taken);
    some_go_on |= !row.stopped_at_eos && row.tokens.size() < limit;
  }
  return some_go_on;
}

}  // namespace

KvCache prefill(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
                std::int64_t rows, std::int64_t columns, std::int64_t last_kv_layer) {
  const Placement& placement = model.placement();
  at::Tensor tokens = at::zeros({rows, columns}, at::kLong);
  at::Tensor positions = at::zeros({rows, columns}, at::kLong);
  auto token = tokens.accessor<std::int64_t, 2>();
  auto position = positions.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> lengths;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto& prompt = prompts[r < std::ssize(prompts) ? static_cast<std::size_t>(r) : 0];
    const auto n = std::ssize(prompt);
    lengths.push_back(n);
    for (std::int64_t i = 0; i < n; ++i) {
      token[r][columns - n + i] = prompt[static_cast<std::size_t>(i)];
      position[r][columns - n + i] = i;
    }
  }
  KvCache cache = KvCache::allocate(model.config(), placement, rows, columns);
  const AttentionBias bias = causal_bias(model.config(), placement, lengths, 0, columns);
  ForwardInput input;
  input.tokens = tokens.to(placement.device);
  input.positions = positions.to(placement.device);
  input.bias = &bias;
  input.last_kv_layer = last_kv_layer;
  model.forward(input, cache);
  return cache;
}

DecodedBatch decode(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                    const KvCache& contexts) {
  const Placement& placement = model.placement();
  const auto T = bundle.shape.prompt_length, steps = settings.generation.max_new_tokens;
  DecodedBatch batch;
  batch.plans = compile_rows(settings, bundle, model.config().n_layers);
  batch.cache = KvCache::allocate(model.config(), placement, bundle.shape.rows, T + steps);
  batch.rows.resize(bundle.rows.size());
  batch.proofs.resize(batch.plans.size());
  compose_prompt_caches(model, contexts, batch.plans, batch.cache, batch.proofs);
  run_patched_suffix(model, contexts, bundle.contexts, batch.plans, settings.window, batch.cache);

  std::vector<std::int64_t> first_tokens, first_positions;
  for (const RowPlan& plan : batch.plans) {
    first_tokens.push_back(plan.first_token);
    first_positions.push_back(plan.first_position());
  }
  const at::Tensor random = uniforms(settings, bundle, placement);
  const DecodePatches patches = decode_patches(model, contexts, batch.plans);
  DecodeBias bias(model.config(), placement, batch.plans, T, steps);
  ForwardInput input;
  input.tokens = at::tensor(first_tokens, at::kLong).to(placement.device).unsqueeze(1);
  input.positions = at::tensor(first_positions, at::kLong).to(placement.device).unsqueeze(1);
  input.patches = patches.first_step;
  input.last_kv_layer = model.config().n_layers;
  input.logits = LogitsFor::last_query;
  for (std::int64_t t = 0; t < steps; ++t) {
    input.column = T + t;
    input.bias = &bias.at_step(t);
    const at::Tensor logits = model.forward(input, batch.cache);  // [rows, vocab]
    const at::Tensor next = sample_tokens(logits, random[t], settings.generation);
    if (!take_tokens(settings, next, logits.isfinite().all(-1), batch.rows)) break;
    input.tokens = next.unsqueeze(1);
    input.positions = input.positions + 1;
    input.patches = patches.later_steps;
  }
  std::vector<std::int64_t> fed_steps;
  for (std::size_t r = 0; r < batch.plans.size(); ++r)
    fed_steps.push_back(
        r < batch.rows.size() ? std::max<std::int64_t>(1, std::ssize(batch.rows[r].tokens)) : 1);
  prove_v_patches(contexts, batch.cache, batch.plans, fed_steps, batch.proofs);
  batch.proofs.resize(batch.rows.size());
  return batch;
}

}  // namespace rvsweep
