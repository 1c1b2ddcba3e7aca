#pragma once
// The table of a model's parameters: what checking, memory layout, packing, drawing and loading
// read.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {

/// The tensor of the forward pass that a parameter is, or gives rows of. Those from input_norm to
/// down_proj are one per layer.
enum class Slot {
  embedding,
  input_norm,
  qkv_proj,  // rows of q, then k, then v; the bias too
  qkv_bias,
  q_norm,
  k_norm,
  o_proj,
  o_bias,
  mlp_norm,
  gate_up_proj,  // rows of gate, then up
  down_proj,
  norm,
  head,
};

enum class Role {
  product,      // [out, in]: activations are multiplied with it
  lookup,       // [vocab, hidden]: rows are taken from it
  norm_weight,  // [hidden] or [head_dim]: drawn as ones
  bias,         // [out]: drawn as zeros
};

struct Parameter {
  Slot slot;
  std::string name;  // Hugging Face's: "model.layers.3.self_attn.q_proj.weight"
  Shape shape;
  Role role;
  std::int64_t layer = 0;  // 0 for what belongs to no layer

  std::int64_t numel() const;
  /// Whether both give rows of one tensor.
  bool shares_tensor(const Parameter& other) const {
    return slot == other.slot && layer == other.layer;
  }
};

/// Every parameter of the model's files once, in the order of their memory. Those that share a
/// tensor follow each other. A tied head is not among them: the embedding serves as head.
std::vector<Parameter> parameters_of(const ModelConfig& config);

/// Every parameter is in `index` with its shape and a supported dtype (F32, BF16, F16), and every
/// tensor is used; throws InputError naming the first that is not. Rotary inv_freq buffers of old
/// folders, and the copy of a tied head, are the only tensors passed over.
void check_tensors(const ModelConfig& config, const TensorIndex& index);

}  // namespace rvsweep
