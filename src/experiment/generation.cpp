#include "rvsweep/experiment/generation.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "experiment/sampler.hpp"
#include "kernels/cpu/argmax.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/intervention/decode_bias.hpp"
#include "rvsweep/intervention/site_patch.hpp"

namespace rvsweep {
namespace {

/// Random numbers of every row and step, [steps, rows] float64; zeros for padding rows.
at::Tensor uniforms(const SweepSettings& settings, const Bundle& bundle, std::int64_t rows,
                    const Placement& placement) {
  const auto steps = settings.generation.max_new_tokens;
  at::Tensor numbers = at::zeros({steps, rows}, at::kDouble);
  if (settings.generation.temperature == 0) return numbers.to(placement.device);
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

/// Adds what decoding changed: b[n-1] of every row, later tokens while a row was going on.
void prove_decoding(const std::vector<CompiledRow>& plans, const std::vector<at::Tensor>& changes,
                    const std::vector<Generated>& rows, std::int64_t steps_fed,
                    std::vector<PatchProof>& proofs) {
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const CompiledRow& plan = plans[r];
    if (plan.sites.empty()) continue;
    const auto fed = std::clamp<std::int64_t>(std::ssize(rows[r].tokens), 1, steps_fed);
    for (const CompiledSitePatch& patch : plan.sites)
      proofs[r].cells_changed +=
          (patch.window + (patch.persist ? fed - 1 : 0)) * layer_heads(patch);
    for (std::int64_t t = 0; t < std::min<std::int64_t>(fed, std::ssize(changes)); ++t)
      proofs[r].change_squared += changes[t].const_data_ptr<double>()[r];
  }
}

}  // namespace

std::vector<CompiledRow> compile_rows(const SweepSettings& settings, const Bundle& bundle,
                                      const ModelConfig& config) {
  std::vector<CompiledRow> plans;
  for (const BundleRow& row : bundle.rows)
    plans.push_back(compile_row(settings.arms.at(static_cast<std::size_t>(row.arm.value)), row,
                                bundle, bundle.shape.contexts, config));
  const CompiledRow padding =
      compile_row(Arm{}, BundleRow{}, bundle, bundle.shape.contexts, config);
  plans.resize(static_cast<std::size_t>(bundle.shape.rows), padding);
  return plans;
}

DecodedBatch decode(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                    PreparedRows prepared, const ContextState& contexts,
                    const StepObserver& observe_step) {
  const Placement& placement = model.placement();
  const auto T = contexts.cache.columns(), n_new = settings.generation.max_new_tokens;
  const auto L = model.config().n_layers;
  DecodedBatch batch{
      std::move(prepared.cache), std::move(prepared.plans), {}, std::move(prepared.proofs)};
  batch.rows.resize(bundle.rows.size());
  const auto R = std::ssize(batch.plans);
  std::vector<std::int64_t> first_tokens, first_positions, fed_token, generated_token;
  for (const CompiledRow& plan : batch.plans) {
    first_tokens.push_back(plan.first_token);
    first_positions.push_back(plan.first_position());
    fed_token.push_back(plan.n - 1);
    generated_token.push_back(plan.n);
  }
  const at::Tensor random = uniforms(settings, bundle, R, placement);
  PassEdits first_step = pass_edits(model, contexts, batch.plans, fed_token, 1);
  PassEdits later_steps = pass_edits(model, contexts, batch.plans, generated_token, 1);
  std::vector<SiteCapture> records = first_step.records;
  for (const std::int64_t layer : settings.logit_lens_layers)
    records.push_back({Site::resid_post, layer, 1});
  const bool wants_logits = n_new > 0 || settings.readouts.first_token;
  DecodeBias bias(model.config(), placement, batch.plans, T, std::max<std::int64_t>(n_new, 1));

  ForwardInput input;
  input.tokens = at::tensor(first_tokens, at::kLong).to(placement.device).unsqueeze(1);
  input.positions = at::tensor(first_positions, at::kLong).to(placement.device).unsqueeze(1);
  input.patches = first_step.patches;
  input.records = &records;
  input.last_kv_layer = wants_logits ? L : last_layer_for(records, L);
  input.outputs = wants_logits ? Outputs::last_query : Outputs::none;
  std::vector<at::Tensor> changes;  // float64 [R] by step, while there are patches
  std::int64_t t = 0;
  for (bool going_on = true; going_on; ++t) {
    input.column = T + t;
    input.bias = &bias.at_step(t);
    const at::Tensor residual = model.forward(input, batch.cache);  // [R, hidden]
    const PassEdits& patches = t == 0 ? first_step : later_steps;
    if (!patches.empty()) changes.push_back(patches.change(records));
    if (t == 0) {
      batch.residuals.assign(records.begin() + std::ssize(first_step.records), records.end());
      records = later_steps.records;
      input.patches = later_steps.patches;
    }
    if (!wants_logits) break;
    LargestLogits next;
    if (t > 0 && settings.generation.temperature == 0 && !observe_step) {
      next = model.largest_logits(residual);
    } else {
      const at::Tensor logits = model.unembed(residual);  // [R, vocab]
      if (t == 0) batch.first_logits = logits.to(at::kFloat);
      if (observe_step) observe_step(t, logits.to(at::kFloat));
      if (n_new == 0) break;
      next = {sample_tokens(logits, random[t], settings.generation), finite_rows(logits)};
    }
    going_on = take_tokens(settings, next.place, next.finite, batch.rows);
    input.tokens = next.place.unsqueeze(1);
    input.positions = input.positions + 1;
  }
  for (at::Tensor& change : changes) change = change.to(at::kCPU);
  prove_decoding(batch.plans, changes, batch.rows, std::max<std::int64_t>(t, 1), batch.proofs);
  batch.proofs.resize(batch.rows.size());
  return batch;
}

std::vector<Generated> continuations(const Transformer& model, const SweepSettings& settings,
                                     const Bundle& bundle, const ContextState& contexts) {
  SweepSettings greedy = settings;
  greedy.generation.temperature = 0;
  greedy.logit_lens_layers.clear();
  Bundle unpatched = bundle;
  unpatched.rows.clear();
  for (std::int32_t c = 0; c < std::ssize(bundle.contexts); ++c) {
    unpatched.rows.emplace_back();
    unpatched.rows.back().base = c;
  }
  unpatched.shape.rows = bundle.shape.contexts;
  std::vector<CompiledRow> plans;
  for (const BundleRow& row : unpatched.rows)
    plans.push_back(compile_row(Arm{}, row, bundle, bundle.shape.contexts, model.config()));
  plans.resize(static_cast<std::size_t>(bundle.shape.contexts), plans.front());
  auto prepared =
      prepare_rows(model, greedy, std::move(plans), contexts, settings.generation.max_new_tokens);
  return decode(model, greedy, unpatched, std::move(prepared), contexts).rows;
}

}  // namespace rvsweep
