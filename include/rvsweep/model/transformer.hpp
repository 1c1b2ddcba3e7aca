#pragma once
// One forward pass of a Llama-family decoder (Llama, Mistral, Qwen2) over a batch of unlike rows:
// prefill, the suffix of a patched prompt and a decode step are the same call with more or fewer
// queries per row.
#include <ATen/core/Tensor.h>

#include <vector>

#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/patch.hpp"
#include "rvsweep/model/weights.hpp"

namespace rvsweep {

enum class LogitsFor { none, last_query, every_query };

/// Tokens to feed and where; `queries` of them per row.
struct ForwardInput {
  at::Tensor tokens;        // [rows, queries] int64
  at::Tensor positions;     // [rows, queries] int64, of the rotation; >= 0
  std::int64_t column = 0;  // cache column of the first query; `queries` columns are written
  const AttentionBias* bias = nullptr;  // over columns [0, column + queries) or more
  std::vector<SitePatch> patches;
  /// The pass ends once K and V of this layer are written: geometry needs no more.
  /// n_layers runs the whole model.
  std::int64_t last_kv_layer = 0;
  LogitsFor logits = LogitsFor::none;  // anything but none needs the whole model
};

class Transformer {
 public:
  Transformer(ModelConfig config, Weights weights, const Placement& placement);

  const ModelConfig& config() const { return config_; }
  const Placement& placement() const { return placement_; }
  /// float32 [head_dim/2] on the model's device.
  const at::Tensor& inverse_frequencies() const { return inverse_frequencies_; }

  /// Token embeddings, [rows, queries, hidden].
  at::Tensor embed(const at::Tensor& tokens) const;

  /// Feeds the tokens, writes their K and V into `cache` and returns float32 logits: [rows, vocab]
  /// for last_query, [rows, queries, vocab] for every_query, undefined for none.
  at::Tensor forward(const ForwardInput& input, KvCache& cache) const;

 private:
  ModelConfig config_;
  Weights weights_;
  Placement placement_;
  at::Tensor inverse_frequencies_;
};

}  // namespace rvsweep
