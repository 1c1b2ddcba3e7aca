#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "rvsweep/experiment/generation.hpp"
#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/intervention/site_patch.hpp"

namespace rvsweep {
namespace {

/// Prompts that are fed together: on a CPU so many that what a layer makes of them stays in its
/// cache, in whole groups of 8 (canonical_rows) where there are several.
std::int64_t prompts_at_once(const Transformer& model, const KvCache& cache) {
  constexpr std::int64_t cpu_tokens = 1280;
  if (!model.placement().device.is_cpu()) return cache.rows();
  return std::max<std::int64_t>(cpu_tokens / cache.columns() / 8 * 8, 8);
}

/// Feeds the prompts of cache rows [first, first + rows of `cache`).
at::Tensor feed_some(const Transformer& model,
                     const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t first,
                     ForwardInput input, KvCache cache) {
  const Placement& placement = model.placement();
  const auto rows = cache.rows(), columns = cache.columns();
  at::Tensor tokens = at::zeros({rows, columns}, at::kLong);
  at::Tensor positions = at::zeros({rows, columns}, at::kLong);
  auto token = tokens.accessor<std::int64_t, 2>();
  auto position = positions.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> lengths;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto& prompt =
        prompts[first + r < std::ssize(prompts) ? static_cast<std::size_t>(first + r) : 0];
    const auto n = std::ssize(prompt);
    lengths.push_back(n);
    for (std::int64_t i = 0; i < n; ++i) {
      token[r][columns - n + i] = prompt[static_cast<std::size_t>(i)];
      position[r][columns - n + i] = i;
    }
  }
  const AttentionBias bias = causal_bias(model.config(), placement, lengths, 0, columns);
  input.tokens = tokens.to(placement.device);
  input.positions = positions.to(placement.device);
  input.bias = &bias;
  return model.forward(input, cache);
}

}  // namespace

at::Tensor feed_prompts(const Transformer& model,
                        const std::vector<std::vector<std::int32_t>>& prompts, ForwardInput input,
                        KvCache& cache) {
  const auto at_once = prompts_at_once(model, cache);
  std::vector<SiteCapture>* const records = input.records;
  std::vector<std::vector<at::Tensor>> recorded(records == nullptr ? 0 : records->size());
  std::vector<at::Tensor> outputs;
  for (std::int64_t first = 0; first < cache.rows(); first += at_once) {
    const auto n = std::min(at_once, cache.rows() - first);
    outputs.push_back(feed_some(model, prompts, first, input,
                                {cache.k.narrow(1, first, n), cache.v.narrow(1, first, n)}));
    for (std::size_t i = 0; i < recorded.size(); ++i) recorded[i].push_back((*records)[i].values);
  }
  for (std::size_t i = 0; i < recorded.size(); ++i) (*records)[i].values = at::cat(recorded[i]);
  return outputs.front().defined() ? at::cat(outputs) : at::Tensor();
}

KvCache prefill(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
                std::int64_t rows, std::int64_t columns, std::int64_t last_kv_layer) {
  KvCache cache = KvCache::allocate(model.config(), model.placement(), rows, columns);
  ForwardInput input;
  input.last_kv_layer = last_kv_layer;
  feed_prompts(model, prompts, input, cache);
  return cache;
}

PreparedRows prepare_rows(const Transformer& model, const SweepSettings& settings,
                          std::vector<CompiledRow> plans, const ContextState& contexts,
                          std::int64_t steps) {
  PreparedRows rows;
  rows.cache = KvCache::allocate(model.config(), model.placement(), std::ssize(plans),
                                 contexts.cache.columns() + steps);
  rows.proofs.resize(plans.size());
  copy_base_cells(contexts.cache, plans, rows.cache);
  // The window up to b[n-1], which is the first fed token.
  run_patched_suffix(model, contexts, plans, settings.window + settings.tokens_after_window - 1,
                     rows.cache, rows.proofs);
  patch_prompt_caches(model, contexts.cache, plans, rows.cache, rows.proofs);
  rows.plans = std::move(plans);
  return rows;
}

}  // namespace rvsweep
