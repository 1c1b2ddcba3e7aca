#pragma once
// Rotation of queries and keys, Hugging Face's half-split convention: dimension i pairs with
// i + head_dim/2.
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// cos and sin of position * frequency, float32.
struct Rotation {
  at::Tensor cos, sin;
};

/// Rotates x [..., head_dim] by `rotation` (broadcast against x without its last dimension,
/// [..., head_dim/2]), in x's dtype. Rotating by position a and then by b equals rotating by a + b,
/// up to rounding.
at::Tensor rotate(const at::Tensor& x, const Rotation& rotation);

}  // namespace rvsweep
