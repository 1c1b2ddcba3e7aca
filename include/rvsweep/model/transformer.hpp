#pragma once
// One forward pass of a decoder (src/model_config/families.cpp) over a batch of unlike rows:
// prefill, the suffix of a patched prompt and a decode step are the same call with more or fewer
// queries per row.
#include <ATen/core/Tensor.h>

#include <vector>

#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/site_edit.hpp"
#include "rvsweep/model/weights.hpp"

namespace rvsweep {

/// Which queries' residual stream the caller wants after the last block.
enum class Outputs { none, last_query, every_query };

/// Asks for the last query's heads of a layer as attention takes them, normed and rotated.
struct QueryCapture {
  std::int64_t layer = 0;
  at::Tensor values = {};  // [rows, n_heads, head_dim], filled by the forward pass
};

/// Tokens to feed and where; `queries` of them per row.
struct ForwardInput {
  at::Tensor tokens;        // [rows, queries] int64; unused where `residual` is given
  at::Tensor positions;     // [rows, queries] int64; >= 0
  std::int64_t column = 0;  // cache column of the first query; `queries` columns are written
  const LayerVisibility* seen = nullptr;
  std::vector<SiteEdit> edits;
  std::vector<SiteCapture>* captures = nullptr;
  std::vector<QueryCapture>* query_captures = nullptr;
  /// The pass begins at this layer with this residual stream, [rows, queries, hidden]; undefined:
  /// at layer 0 with the tokens' embeddings.
  std::int64_t first_layer = 0;
  at::Tensor residual = {};
  /// The last layer whose K and V are needed: the pass ends there, before its attention. n_layers:
  /// the whole model.
  std::int64_t last_kv_layer = 0;
  Outputs outputs = Outputs::none;  // others need the whole model
};

class Transformer {
 public:
  Transformer(ModelConfig config, Weights weights, const Placement& placement)
      : Transformer(std::move(config), std::move(weights), placement, operations_of(placement)) {}
  /// With another table than the placement's fastest. It must outlive the model.
  Transformer(ModelConfig config, Weights weights, const Placement& placement,
              const Operations& operations);

  const ModelConfig& config() const { return config_; }
  const Placement& placement() const { return placement_; }
  const Operations& operations() const { return *operations_; }
  /// What keys of a layer that are rotated already are turned by, to move them by `positions`: its
  /// shape with rotary_dim/2 appended, on the model's device.
  Rotation turn(std::int64_t layer, const at::Tensor& positions) const;

  /// Token embeddings, scaled, [rows, queries, hidden].
  at::Tensor embed(const at::Tensor& tokens) const;

  /// Feeds the tokens, writes their K and V into `cache` and returns the residual stream after the
  /// last block: [rows, hidden] for last_query, [rows, queries, hidden] for every_query, undefined
  /// for none.
  at::Tensor forward(const ForwardInput& input, KvCache& cache) const;

  /// Final norm, head and soft cap: logits [..., vocab] of a residual stream [..., hidden], in the
  /// model's dtype.
  at::Tensor unembed(const at::Tensor& residual) const;

  /// Of those logits, for a residual stream [rows, hidden]; they need not be kept.
  ArgMax argmax(const at::Tensor& residual) const;

 private:
  struct Pass;
  std::size_t rotation_of(std::int64_t layer) const;  // index into inverse_frequencies_
  const RopeConfig& rope(std::size_t rotation) const;
  std::vector<AttentionBias> attention_biases(const LayerVisibility& seen,
                                              const QueryColumns& queries) const;
  at::Tensor norm(const at::Tensor& x, const Norm& norm) const;
  at::Tensor attention_half(const Pass& pass, std::int64_t layer, const at::Tensor& x) const;
  at::Tensor mlp_half(std::int64_t layer, const at::Tensor& x) const;
  at::Tensor output(const Pass& pass, Site site, std::int64_t layer, const at::Tensor& x,
                    const Matrix& matrix, const Norm& out_norm) const;
  void add_output(const Pass& pass, Site site, std::int64_t layer, const at::Tensor& x,
                  const Matrix& matrix, const Norm& out_norm, at::Tensor& sum) const;

  ModelConfig config_;
  Weights weights_;
  Placement placement_;
  const Operations* operations_;
  std::vector<at::Tensor> inverse_frequencies_;  // of the model's rotations: usual, local
};

}  // namespace rvsweep
