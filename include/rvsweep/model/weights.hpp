#pragma once
// The parameters of a Llama-family model and how blocks of memory hold them.
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "rvsweep/kernels/matrix.hpp"
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Parameters of one block; H hidden, I intermediate, Q = n_heads*head_dim, D =
/// n_kv_heads*head_dim.
struct LayerWeights {
  at::Tensor input_norm;  // [H]
  Matrix qkv;             // [Q + 2D, H]: rows of q, then k, then v
  Matrix o;               // [H, Q]
  at::Tensor mlp_norm;    // [H]
  Matrix gate_up;         // [2I, H]: rows of gate, then up
  Matrix down;            // [H, I]
};

struct Weights {
  at::Tensor embedding;  // [vocab, H]
  std::vector<LayerWeights> layers;
  at::Tensor norm;  // [H]
  Matrix head;      // [vocab, H]

  std::shared_ptr<std::byte> memory;  // that the matrices lie in, where they do not own it
};

/// Where a parameter of the model's files lies in the block.
struct WeightSlot {
  std::string name;  // Hugging Face's
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // bytes from the start of the block
  std::int64_t numel = 0;
};

/// A block of parameters. Those of one product (q, k, v; gate, up) follow each other without a gap.
struct WeightLayout {
  at::ScalarType dtype = at::kFloat;
  std::vector<WeightSlot> slots;  // by offset
  std::int64_t bytes = 0;
};

/// Which parameters a layout holds: all, or all but the matrices of products.
enum class Parameters { all, lookups_and_vectors };

/// The next multiple of a cache line's 64 bytes, the widest vector register's too.
constexpr std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype,
                           Parameters parameters = Parameters::all);

/// The layouts of the matrices that activations are multiplied with, each alone, in the order in
/// which the model uses them. A tied head is one of its own.
std::vector<WeightLayout> product_matrices(const ModelConfig& config, at::ScalarType dtype);

/// Views of `block`, uint8 [layout.bytes] on any device. Of a layout without product_matrices these
/// are `matrices`; otherwise a tied head is the embedding itself.
Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout,
                   const std::vector<Matrix>& matrices = {});

}  // namespace rvsweep
