#include "kernels/cpu/amx/operations.hpp"

#include "kernels/cpu/activation.hpp"
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

at::Tensor activated_product(const at::Tensor& x, const Matrix& up, const Mlp& mlp) {
  if (!in_tiles(up)) return cpu_operations().activated_product(x, up, mlp);
  const bool swiglu = mlp.gated && mlp.activation == Activation::silu && !up.bias.defined();
  return swiglu ? amx::swiglu_product(x, up) : cpu::activated(amx::product(x, up), mlp);
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
    table.activated_product = activated_product;
    table.argmax_product = argmax_product;
    return table;
  }();
  return operations;
}

}  // namespace rvsweep
