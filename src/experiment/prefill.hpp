#pragma once
// Prompts into caches.
#include <cstdint>
#include <vector>

#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// Feeds prompts, right-aligned in the columns of `cache`; its rows beyond the prompts repeat the
/// first one. `input` says how far the pass goes, what it records and returns; its tokens,
/// positions and visibility are set here. `at_once` of them share a pass (0: all). Returns what
/// Transformer::forward does.
at::Tensor feed_prompts(const Transformer& model,
                        const std::vector<std::vector<std::int32_t>>& prompts, ForwardInput input,
                        KvCache& cache, std::int64_t at_once = 0);

/// What passes over some prompts each leave behind, in the order of the prompts.
struct PromptPasses {
  std::vector<at::Tensor> outputs;
  std::vector<std::vector<at::Tensor>> captured;

  void add(const at::Tensor& output, const std::vector<SiteCapture>* captures);
  /// Puts what was captured into `captures`; returns the outputs.
  at::Tensor joined(std::vector<SiteCapture>* captures);
};

/// Keys and values of every prompt in a new cache, [n_layers, rows, n_kv_heads, columns, head_dim].
/// The pass ends at `last_kv_layer`.
KvCache prefill(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
                std::int64_t rows, std::int64_t columns, std::int64_t last_kv_layer);

}  // namespace rvsweep
