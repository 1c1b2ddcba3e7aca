#pragma once
// A weight matrix in the format that its device multiplies fastest.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

namespace rvsweep {

/// How the elements lie in memory: row by row, in oneDNN's blocks, or in AMX tiles.
enum class MatrixFormat { rows, onednn, amx_tiles };

/// Weights of a linear map of x [..., in] to [..., out].
struct Matrix {
  MatrixFormat format = MatrixFormat::rows;
  std::int64_t out = 0, in = 0;
  at::Tensor data;       // out * in elements in `format`
  at::Tensor bias = {};  // [out], undefined for none
};

/// A matrix of `data` [out, in] as it is.
Matrix matrix_of_rows(const at::Tensor& data, const at::Tensor& bias = {});

/// The next multiple of 64: a cache line's and the widest vector register's bytes, and the most
/// rows or columns of a block of oneDNN's.
constexpr std::int64_t aligned(std::int64_t n) { return (n + 63) / 64 * 64; }

/// In amx_tiles, out and in are multiples of this.
constexpr std::int64_t tile_block = 32;

/// The fastest format that this processor has for activations of `dtype`; `whole_tiles`: every
/// matrix has full tiles.
MatrixFormat fastest_format(at::ScalarType dtype, bool whole_tiles);

/// Bytes of a matrix in `format`; for onednn an upper bound, whose unused tail costs address space,
/// not memory. Multiples of a cache line.
std::int64_t matrix_bytes(MatrixFormat format, std::int64_t out, std::int64_t in,
                          at::ScalarType dtype);

/// Writes `out` rows of `in` elements of 2 or 4 bytes as tiles, those of the first 32 rows first;
/// rows that follow in the matrix follow in memory.
void arrange_in_tiles(const std::byte* rows, std::int64_t out, std::int64_t in,
                      std::size_t element_bytes, std::byte* tiles);

/// Packs `matrix` [out, in] by oneDNN into `memory` of matrix_bytes. No other thread may allocate
/// CPU tensors meanwhile: libtorch has one allocator, and packing replaces it.
void pack_onednn(const at::Tensor& matrix, std::byte* memory);

/// The matrix that lies in `memory`, which must outlive it.
Matrix matrix_in(const std::byte* memory, MatrixFormat format, std::int64_t out, std::int64_t in,
                 at::ScalarType dtype);

}  // namespace rvsweep
