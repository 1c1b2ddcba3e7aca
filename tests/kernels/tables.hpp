#pragma once
// Every table of operations that this processor has, in every dtype, as parameters of a test.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/amx/operations.hpp"
#include "kernels/cpu/amx/product.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/operations.hpp"

namespace rvsweep::testing {

struct Table {
  std::string name;
  const Operations* operations;
  at::ScalarType dtype;                      // of activations
  MatrixFormat format = MatrixFormat::rows;  // of matrices
  at::ScalarType matrix_dtype = at::kFloat;  // theirs
  double unit() const {                      // about a last place
    return dtype == at::kFloat ? 1e-6 : dtype == at::kHalf ? 1.0 / 1024 : 1.0 / 128;
  }
};

inline std::vector<Table> tables() {
  std::vector<Table> found;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const std::string suffix = dtype == at::kFloat ? "_float32" : "_bfloat16";
    found.push_back({"aten" + suffix, &aten_operations(), dtype, MatrixFormat::rows, dtype});
    found.push_back({"cpu" + suffix, &cpu_operations(), dtype, MatrixFormat::rows, dtype});
    if (cpu::can_pack(dtype))
      found.push_back(
          {"cpu_onednn" + suffix, &cpu_operations(), dtype, MatrixFormat::onednn, dtype});
    if (!has_amx()) continue;
    found.push_back({"amx" + suffix, &amx_operations(), dtype, MatrixFormat::amx_tiles, dtype});
  }
  found.push_back({"aten_float16", &aten_operations(), at::kHalf, MatrixFormat::rows, at::kHalf});
  if (has_amx())
    found.push_back({"amx_float32_of_bfloat16", &amx_operations(), at::kFloat,
                     MatrixFormat::amx_tiles, at::kBFloat16});
  return found;
}

/// Tests that run once with every table.
class EveryTable : public ::testing::TestWithParam<Table> {
 protected:
  const Operations& ops = *GetParam().operations;
  at::ScalarType dtype = GetParam().dtype;
};

/// A matrix in `format` and the memory that holds it.
struct StoredMatrix {
  at::Tensor memory;
  Matrix matrix;
};

inline StoredMatrix stored(const at::Tensor& rows, MatrixFormat format,
                           const at::Tensor& bias = {}) {
  if (format == MatrixFormat::rows) return {rows, matrix_of_rows(rows, bias)};
  const auto out = rows.size(0), in = rows.size(1);
  const auto dtype = rows.scalar_type();
  const at::Tensor memory = at::empty({matrix_bytes(format, out, in, dtype) + 64}, at::kByte);
  auto* const begin = static_cast<std::byte*>(memory.data_ptr());
  if (format == MatrixFormat::onednn)
    pack_onednn(rows, begin);
  else
    arrange_in_tiles(static_cast<const std::byte*>(rows.const_data_ptr()), out, in,
                     rows.element_size(), begin);
  Matrix matrix = matrix_in(begin, format, out, in, dtype);
  matrix.bias = bias;
  return {memory, std::move(matrix)};
}

}  // namespace rvsweep::testing
