#pragma once
// The parameters of a model as the forward pass uses them, and how blocks of memory hold them.
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/model_config/parameters.hpp"

namespace rvsweep {

/// Parameters of one block, norms where the family has them; H hidden, I intermediate, Q =
/// n_heads*head_dim, D = n_kv_heads*head_dim.
struct LayerWeights {
  Norm input_norm;          // of H elements, like all but the next two
  Matrix qkv;               // [Q + 2D, H]: rows of q, then k, then v
  Norm q_norm, k_norm;      // of head_dim, or of Q and D elements
  Matrix o;                 // [H, Q]
  Norm attention_out_norm;  // of what attention adds to the stream
  Norm mlp_norm;
  Matrix gate_up;     // [2I, H]: rows of gate, then up; [I, H] where the MLP is not gated
  Matrix down;        // [H, I]
  Norm mlp_out_norm;  // of what the MLP adds to the stream
};

struct Weights {
  at::Tensor embedding;  // [vocab, H]
  at::Tensor positions;  // [max_positions, H]; undefined where keys are rotated
  std::vector<LayerWeights> layers;
  Norm norm;
  Matrix head;  // [vocab, H]

  std::shared_ptr<std::byte> memory;  // that the matrices lie in, where they do not own it
};

/// A parameter and where it lies in a block.
struct StoredParameter : Parameter {
  std::int64_t offset = 0;  // bytes from the start of the block
};

/// A block of parameters as rows. Those that share a tensor (q, k, v; gate, up) follow each other
/// without a gap; each tensor begins at a multiple of 64 bytes.
struct WeightLayout {
  at::ScalarType dtype = at::kFloat;
  std::vector<StoredParameter> parameters;  // by offset
  std::int64_t bytes = 0;
};

/// Every parameter of the model.
WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype);

/// The parameters of Role lookup, norm_weight and bias.
WeightLayout lookups_and_vectors(const ModelConfig& config, at::ScalarType dtype);

/// The matrices of products (Role::product), each a layout of its own, in the order in which the
/// model uses them. A tied head is the last: the embedding once more.
std::vector<WeightLayout> product_matrices(const ModelConfig& config, at::ScalarType dtype);

/// Makes `matrix` the one that the parameter is, or gives rows of, beside the bias that is there.
void put_matrix(Weights& weights, const Parameter& parameter, Matrix matrix);

/// Views of what `layout` holds in `block`, uint8 [layout.bytes] on any device; what it does not
/// hold is undefined. A tied head is the embedding.
Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout);

}  // namespace rvsweep
