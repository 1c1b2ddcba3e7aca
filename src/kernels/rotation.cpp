#include "rvsweep/kernels/rotation.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>

namespace rvsweep {

at::Tensor rotate(const at::Tensor& x, const Rotation& rotation) {
  if (rotation.in_float32 && x.scalar_type() != at::kFloat)
    return rotate(x.to(at::kFloat), rotation).to(x.scalar_type());
  const auto half = rotation.cos.size(-1), rest = x.size(-1) - 2 * half;
  const at::Tensor cos = rotation.cos.to(x.scalar_type());
  const at::Tensor sin = rotation.sin.to(x.scalar_type());
  const at::Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  at::Tensor rotated = at::empty(x.sizes(), x.options());
  at::Tensor first = rotated.narrow(-1, 0, half), second = rotated.narrow(-1, half, half);
  at::mul_out(first, a, cos).addcmul_(b, sin, -1);
  at::mul_out(second, b, cos).addcmul_(a, sin);
  if (rest > 0) rotated.narrow(-1, 2 * half, rest).copy_(x.narrow(-1, 2 * half, rest));
  return rotated;
}

}  // namespace rvsweep
