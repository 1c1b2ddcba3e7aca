#pragma once
// Rotary position embedding, Hugging Face's half-split convention: dimension i pairs with i +
// head_dim/2.
#include <ATen/core/Tensor.h>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Inverse frequencies, float32 [head_dim/2], linear or llama3 scaling applied (Chen et al. 2023,
/// position interpolation; Llama 3.1 model card; both as in transformers' modeling_rope_utils).
at::Tensor inverse_frequencies(const ModelConfig& config);

/// cos and sin of position * frequency, float32, shape of `positions` with head_dim/2 appended.
struct Rotation {
  at::Tensor cos, sin;
};
Rotation rotation_at(const at::Tensor& positions, const at::Tensor& inverse_frequencies);

/// Rotates x [..., head_dim] by `rotation` (broadcast against x without its last dimension), in x's
/// dtype. Rotating by position a and then by b equals rotating by a + b, up to rounding.
at::Tensor rotate(const at::Tensor& x, const Rotation& rotation);

/// The same in place for x [B, T, heads, head_dim], whose heads are neighbours, and a rotation [B,
/// T, head_dim/2]. On a CPU one pass of our own in place of six operators.
void rotate_heads(const at::Tensor& x, const Rotation& rotation);

}  // namespace rvsweep
