#include "experiment/prefill.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

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
  const auto n_layers = model.config().n_layers;
  const bool alone = rows == 1 && lengths.front() == columns && are_long(columns);
  const LayerVisibility seen =
      alone ? causal_visibility(n_layers) : causal_visibility(n_layers, lengths, columns);
  input.tokens = tokens.to(placement.device);
  input.positions = positions.to(placement.device);
  input.seen = &seen;
  return model.forward(input, cache);
}

}  // namespace

at::Tensor feed_prompts(const Transformer& model,
                        const std::vector<std::vector<std::int32_t>>& prompts, ForwardInput input,
                        KvCache& cache, std::int64_t at_once) {
  if (at_once == 0) at_once = cache.rows();
  PromptPasses passes;
  for (std::int64_t first = 0; first < cache.rows(); first += at_once) {
    const auto n = std::min(at_once, cache.rows() - first);
    passes.add(feed_some(model, prompts, first, input, cache.some_rows(first, n)), input.captures);
  }
  return passes.joined(input.captures);
}

void PromptPasses::add(const at::Tensor& output, const std::vector<SiteCapture>* captures) {
  // A last query alone would keep the stream of all.
  outputs.push_back(output.defined() ? output.clone() : output);
  if (captures == nullptr) return;
  captured.resize(captures->size());
  for (std::size_t i = 0; i < captured.size(); ++i) captured[i].push_back((*captures)[i].values);
}

at::Tensor PromptPasses::joined(std::vector<SiteCapture>* captures) {
  for (std::size_t i = 0; i < captured.size(); ++i)
    (*captures)[i].values = at::cat(std::exchange(captured[i], {}));
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

}  // namespace rvsweep
