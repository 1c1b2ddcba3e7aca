#pragma once
// Proof that a patch fired, from the tensors the row really used.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rvsweep {

struct PatchProof {
  std::int64_t cells_changed = 0;  // (layer, position, head) donor cells written
  std::int64_t cells_dropped = 0;  // donor cells that have no place in base
  double change_squared = 0;       // sum over what was written of (new - old)^2
};

/// Sum of (now - old)^2 over everything but the first dimension, where `written` (1 or 0,
/// broadcast) says so: float64 [rows].
at::Tensor change_squared(const at::Tensor& now, const at::Tensor& old, const at::Tensor& written);

}  // namespace rvsweep
