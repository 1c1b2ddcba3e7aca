#pragma once
// The parameters of a Llama-family model, all in one block of memory.
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Parameters of one block; H hidden, I intermediate, Q = n_heads*head_dim, D =
/// n_kv_heads*head_dim.
struct LayerWeights {
  at::Tensor input_norm;              // [H]
  at::Tensor q_proj, k_proj, v_proj;  // [Q, H], [D, H], [D, H]
  at::Tensor q_bias, k_bias, v_bias;  // [Q], [D], [D] or undefined
  at::Tensor o_proj, o_bias;          // [H, Q], [H] or undefined
  at::Tensor post_attention_norm;     // [H]
  at::Tensor gate_proj, up_proj;      // [I, H] both
  at::Tensor down_proj;               // [H, I]
};

struct Weights {
  at::Tensor embedding;  // [vocab, H]
  std::vector<LayerWeights> layers;
  at::Tensor norm;  // [H]
  at::Tensor head;  // [vocab, H]; the embedding itself where tied
};

/// Where a parameter of the model's files lies in the block.
struct WeightSlot {
  std::string name;  // Hugging Face's
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // bytes from the start of the block
  std::int64_t numel = 0;
};

/// The block as a whole: what ranks of a node share and what a broadcast carries. Parameters of one
/// product (q, k, v; gate, up) follow each other without a gap.
struct WeightLayout {
  at::ScalarType dtype = at::kFloat;
  std::vector<WeightSlot> slots;  // by offset
  std::int64_t bytes = 0;
};

WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype);

/// Views of `block`, uint8 [layout.bytes] on any device, laid out as weight_layout says.
Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout);

}  // namespace rvsweep
