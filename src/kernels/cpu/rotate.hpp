#pragma once
#include "rvsweep/kernels/rotation.hpp"

namespace rvsweep::cpu {

/// Rotates x [B, T, heads, hd], float32 or bfloat16 with contiguous heads, in place by a rotation
/// [B, T, hd/2]. One pass in place of six operators, rounded where `rotate` rounds.
void rotate_heads(const at::Tensor& x, const Rotation& rotation);

}  // namespace rvsweep::cpu
