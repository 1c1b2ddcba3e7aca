#pragma once
// The table of a model's parameters: what checking, memory layout, packing, drawing and loading
// read.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {

/// The norm or matrix of the forward pass that a parameter belongs to, or gives rows of. Those from
/// input_norm to mlp_out_norm are one per layer.
enum class Slot {
  embedding,
  positions,
  input_norm,
  qkv_proj,  // rows of q, then k, then v; the bias too
  q_norm,
  k_norm,
  o_proj,
  attention_out_norm,
  mlp_norm,
  gate_up_proj,  // rows of gate, then up; of up alone where the MLP is not gated
  down_proj,
  mlp_out_norm,
  norm,
  head,
};

enum class Role {
  product,      // [out, in]: activations are multiplied with it
  lookup,       // [vocab or positions, hidden]: rows are taken from it
  norm_weight,  // [elements that are normed]: drawn as ones
  bias,         // [out]: drawn as zeros
};

struct Parameter {
  Slot slot;
  std::string name;  // Hugging Face's: "model.layers.3.self_attn.q_proj.weight"
  Shape shape;
  Role role;
  std::int64_t layer = 0;  // 0 for what belongs to no layer
  // How the file holds it: transposed, or head by head the q, k and v rows of its head_dim.
  bool transposed = false;
  std::int64_t head_rows = 0;

  Shape file_shape() const;
  /// Where the file has element `i` of the parameter, row by row.
  std::int64_t place_in_file(std::int64_t i) const;
  std::int64_t numel() const;
  /// Whether both give rows of one tensor.
  bool shares_tensor(const Parameter& other) const {
    return slot == other.slot && role == other.role && layer == other.layer;
  }
};

/// Every parameter of the model's files once, in the order of their memory. Those that share a
/// tensor follow each other. A tied head is not among them: the embedding serves as head.
std::vector<Parameter> parameters_of(const ModelConfig& config);

/// The tensors of a model's files by the names of parameters_of: without the prefix that a text
/// model has in a multimodal one, and without tensors that have no part in a text's forward pass.
TensorIndex own_tensors(const ModelConfig& config, const TensorIndex& files);

/// Every parameter is in `index` with its shape and a supported dtype (F32, BF16, F16), and every
/// tensor is used; throws InputError naming the first that is not. The copy of a tied head is
/// passed over.
void check_tensors(const ModelConfig& config, const TensorIndex& index);

}  // namespace rvsweep
