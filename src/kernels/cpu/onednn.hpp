#pragma once
// Products with weight matrices, which on a CPU are kept in the layout that its products read best.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/argmax.hpp"

namespace rvsweep {

/// How a matrix of products lies in memory: row by row, in oneDNN's blocks, or in the tiles of
/// amx_product.hpp.
enum class MatrixLayout { rows, onednn, tiles };

/// Whether this libtorch and this processor have oneDNN's blocked products of `dtype`.
bool can_pack(at::ScalarType dtype);

/// A matrix [out, in] in the layout that oneDNN's products read best, the same for every number of
/// rows. Its bytes are a permutation of the matrix', with zeros where blocks are not full.
at::Tensor packed(const at::Tensor& matrix);

/// Where a packed matrix lies.
const std::byte* packed_data(const at::Tensor& matrix);

/// oneDNN's description of a packed matrix: shape, number format and layout.
std::vector<std::uint8_t> packed_format(const at::Tensor& matrix);

/// The packed matrix of `dtype` that `format` describes, its bytes at `data`, which must outlive
/// it.
at::Tensor packed_matrix_at(const std::byte* data, at::ScalarType dtype,
                            std::span<const std::uint8_t> format);

/// x [..., in] times matrix [out, in] in any layout transposed, plus `bias` [out] where defined:
/// [..., out].
at::Tensor project(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias = {});

/// swiglu of x [..., in] times the rows of gate, then up: [..., out / 2].
at::Tensor project_gated(const at::Tensor& x, const at::Tensor& gate_up);

/// Adds project(x, matrix, bias) to `sum` [..., out], contiguous.
void add_projection(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias,
                    const at::Tensor& sum);

/// Of every row of x [rows, in] times matrix [out, in] transposed, which need not be kept.
LargestLogits project_to_largest(const at::Tensor& x, const at::Tensor& matrix);

}  // namespace rvsweep
