#include "rvsweep/kernels/matrix.hpp"

#include <ATen/ops/from_blob.h>

#include "kernels/cpu/amx/product.hpp"
#include "kernels/cpu/onednn.hpp"

namespace rvsweep {

Matrix matrix_of_rows(const at::Tensor& data, const at::Tensor& bias) {
  return {MatrixFormat::rows, data.size(0), data.size(1), data, bias};
}

MatrixFormat fastest_format(at::ScalarType dtype, bool whole_tiles) {
  if (has_amx() && whole_tiles && (dtype == at::kFloat || dtype == at::kBFloat16))
    return MatrixFormat::amx_tiles;
  return cpu::can_pack(dtype) ? MatrixFormat::onednn : MatrixFormat::rows;
}

std::int64_t matrix_bytes(MatrixFormat format, std::int64_t out, std::int64_t in,
                          at::ScalarType dtype) {
  if (format == MatrixFormat::onednn) return cpu::packed_bytes(out, in, dtype);
  return aligned(out * in * static_cast<std::int64_t>(at::elementSize(dtype)));
}

Matrix matrix_in(const std::byte* memory, MatrixFormat format, std::int64_t out, std::int64_t in,
                 at::ScalarType dtype) {
  if (format == MatrixFormat::onednn)
    return {format, out, in, cpu::packed_matrix_in(memory, dtype)};
  return {format, out, in, at::from_blob(const_cast<std::byte*>(memory), {out, in}, dtype)};
}

}  // namespace rvsweep
