#pragma once
// Proof that a row's patches fired, from the tensors that the row really used.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rvsweep {

/// What one patch of a row changed.
struct PatchProof {
  std::int64_t cells_changed = 0;  // (layer, position, head) donor cells written
  std::int64_t cells_dropped = 0;  // donor cells outside base
  double change_squared = 0;       // sum over what was written of (new - old)^2
};

/// By place in the arm's list of patches; empty for base, source and padding rows.
using RowProof = std::vector<PatchProof>;

PatchProof sum_of(const RowProof& proof);

/// Sum of (now - old)^2 over all dimensions but the first, where `written` (1 or 0, broadcast) is
/// 1: float64 [rows].
at::Tensor change_squared(const at::Tensor& now, const at::Tensor& old, const at::Tensor& written);

}  // namespace rvsweep
