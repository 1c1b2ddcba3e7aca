#pragma once
// Products with weight matrices on the matrix units (AMX) of a processor that has them. They
// multiply bfloat16 and sum in float32, many times faster than vectors multiply float32.
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep {

/// Whether this processor and system have AMX for bfloat16 and libtorch uses AVX-512, which
/// ATEN_CPU_CAPABILITY can forbid.
bool has_amx();

namespace amx {

// The entries of Operations for matrices in amx_tiles: shapes of blocks of 32 outputs, blocks of 32
// inputs, halves of 16 outputs, pairs of inputs, the 16 outputs, the pair. x is float32 or
// bfloat16, the matrix bfloat16, or float32 where x is. A row's bits depend on nothing but that row
// and matrix, and, where the matrix is float32, on whether x has more than 16 rows: few are
// multiplied by vectors, which keep pace with memory.
//
// A float32 is the sum of three bfloat16 (bfloat16x3 split), so that a product of two is the sum of
// nine (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype
// for higher-precision computations"). Six are computed; the others are under 2^-24 of the whole,
// half of float32's last place. Where the matrix is bfloat16 three are all there are. Where a block
// of 32 outputs has elements of 16 significant bits alone (float16 weights, many quantised ones),
// their third parts are 0 and one product less is computed.

at::Tensor product(const at::Tensor& x, const Matrix& matrix);

/// Gate and up, I rows each, are never written to memory. I is a multiple of 32.
at::Tensor swiglu_product(const at::Tensor& x, const Matrix& gate_up);

/// The bits of a product and an addition after it.
void add_product(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum);

/// Logits are never written to memory.
ArgMax argmax_product(const at::Tensor& x, const Matrix& head);

}  // namespace amx
}  // namespace rvsweep
