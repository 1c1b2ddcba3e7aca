#pragma once
// Products with weight matrices on the matrix units (AMX) of a processor that has them. They
// multiply bfloat16 numbers and sum in float32, many times faster than vectors multiply float32.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/argmax.hpp"

namespace rvsweep {

/// Whether this processor and system have AMX for bfloat16 and libtorch uses AVX-512, which
/// ATEN_CPU_CAPABILITY can forbid.
bool has_amx();

/// A matrix [out, in] in tiles has a multiple of this of either.
constexpr std::int64_t tile_block = 32;

/// Its shape: blocks of 32 outputs, blocks of 32 inputs, halves of 16 outputs, pairs of inputs, the
/// 16 outputs, the pair.
std::vector<std::int64_t> tiled_shape(std::int64_t out, std::int64_t in);

bool is_in_tiles(const at::Tensor& matrix);

/// Writes rows [out, in] of numbers of 2 or 4 bytes as tiles, those of the first 32 outputs first.
void arrange_in_tiles(const std::byte* rows, std::int64_t out, std::int64_t in,
                      std::size_t number_bytes, std::byte* tiles);

/// x [..., in], float32 or bfloat16, times a matrix in tiles transposed, plus `bias` [out] where
/// defined: [..., out] in x's dtype. The matrix is bfloat16, or float32 where x is. A row's bits
/// depend on nothing but that row, matrix and bias, and, where the matrix is float32, on whether x
/// has more than 16 rows: few are multiplied by vectors, which keep pace with memory.
///
/// A float32 number is the sum of three bfloat16 numbers, so that a product of two is the sum of
/// nine (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype
/// for higher-precision computations"). Six are computed; the others are under 2^-24 of the whole,
/// half of float32's last place. Where the matrix is bfloat16 three are all there are.
/// Where a block of 32 outputs has numbers of 16 significant bits alone (float16 weights, many
/// quantised ones), their third terms are 0 and one product less is computed.
at::Tensor amx_product(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias = {});

/// swiglu (swiglu.hpp) of x times a matrix of I rows of gate, then I rows of up, I a multiple of
/// 32: [..., I]. What lies between is never written to memory.
at::Tensor amx_gated_product(const at::Tensor& x, const at::Tensor& tiles);

/// Adds amx_product, rounded, to `result` [..., out], which is contiguous: the bits of a product
/// and an addition after it.
void amx_add_product(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias,
                     const at::Tensor& result);

/// largest_logits and finite_rows (logit_rows.hpp) of amx_product of x [rows, in], whose numbers
/// are never written to memory.
LargestLogits amx_largest(const at::Tensor& x, const at::Tensor& tiles);

}  // namespace rvsweep
