#include "kernels/cpu/amx/operations.hpp"

#include "kernels/cpu/amx/product.hpp"
#include "kernels/cpu/operations.hpp"

namespace rvsweep {
namespace {

bool in_tiles(const Matrix& matrix) { return matrix.format == MatrixFormat::amx_tiles; }

at::Tensor product(const at::Tensor& x, const Matrix& matrix) {
  return (in_tiles(matrix) ? amx::product : cpu_operations().product)(x, matrix);
}

void add_product(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
  (in_tiles(matrix) ? amx::add_product : cpu_operations().add_product)(x, matrix, sum);
}

at::Tensor swiglu_product(const at::Tensor& x, const Matrix& gate_up) {
  return (in_tiles(gate_up) ? amx::swiglu_product : cpu_operations().swiglu_product)(x, gate_up);
}

ArgMax argmax_product(const at::Tensor& x, const Matrix& head) {
  return (in_tiles(head) ? amx::argmax_product : cpu_operations().argmax_product)(x, head);
}

}  // namespace

const Operations& amx_operations() {
  static const Operations operations = [] {
    Operations table = cpu_operations();
    table.product = product;
    table.add_product = add_product;
    table.swiglu_product = swiglu_product;
    table.argmax_product = argmax_product;
    return table;
  }();
  return operations;
}

}  // namespace rvsweep
