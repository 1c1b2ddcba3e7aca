#pragma once
// Products with weight matrices by libtorch, packed by oneDNN or row by row.
#include <cstddef>
#include <cstdint>

#include "rvsweep/kernels/matrix.hpp"

namespace rvsweep::cpu {

/// Whether this libtorch and this processor have oneDNN's blocked products of `dtype`.
bool can_pack(at::ScalarType dtype);

/// Upper bound of what pack_onednn writes: the unused tail costs address space, not memory.
std::int64_t packed_bytes(std::int64_t out, std::int64_t in, at::ScalarType dtype);

/// The packed matrix in `memory`: data alone, without a bias.
at::Tensor packed_matrix_in(const std::byte* memory, at::ScalarType dtype);

/// Operations::product of a matrix in rows or onednn.
at::Tensor product(const at::Tensor& x, const Matrix& matrix);

}  // namespace rvsweep::cpu
