#pragma once
// The parameters of a Llama-family model, by mmap from safetensors.
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "rvsweep/model/device.hpp"
#include "rvsweep/model_config/safetensors.hpp"

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

/// Maps the files of `index` (checked by check_tensors) and hands out their tensors. On a CPU a
/// tensor that is already in placement.dtype stays in the map, so ranks of one node share the page
/// cache's copy; others are converted. Throws InputError when a file cannot be mapped.
Weights load_weights(const ModelConfig& config, const TensorIndex& index,
                     const Placement& placement);

/// The same parameters with nothing in them, for a rank that receives them from another.
Weights empty_weights(const ModelConfig& config, const Placement& placement);

/// Every parameter once, in one order for all ranks; a tied head is the embedding.
std::vector<at::Tensor> parameters(const Weights& weights);

/// xxh3 over config.json and every weight byte, in order of tensor name: the model's identity.
std::uint64_t model_fingerprint(const std::filesystem::path& folder, const TensorIndex& index);

}  // namespace rvsweep
