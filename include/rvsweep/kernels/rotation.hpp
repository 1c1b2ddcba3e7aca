#pragma once
// Rotation of queries and keys, Hugging Face's half-split convention: of the first 2 h elements of
// a head, h = head_dim/2 where all are rotated, element i pairs with i + h.
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// cos and sin of position * frequency, float32.
struct Rotation {
  at::Tensor cos, sin;
  /// Of 16-bit elements: computed in float32 and rounded once, as in OLMo-2; else cos, sin and each
  /// product are rounded, as in Llama.
  bool in_float32 = false;
};

/// Rotates x [..., head_dim] by `rotation` [..., h] (broadcast against x without its last
/// dimension), in x's dtype. Rotating by position a and then by b equals rotating by a + b,
/// up to rounding.
at::Tensor rotate(const at::Tensor& x, const Rotation& rotation);

}  // namespace rvsweep
