#pragma once
#include <ATen/core/Tensor.h>

namespace rvsweep::cpu {

/// Copies what a layer makes of some tokens, [B, T, heads, hd], to their cells [B, heads, T, hd],
/// heads contiguous in both. libtorch's copy of such strides takes several times as long.
void write_cells(const at::Tensor& from, const at::Tensor& cells);

}  // namespace rvsweep::cpu
