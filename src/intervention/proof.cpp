#include "rvsweep/intervention/proof.hpp"

#include <ATen/TensorOperators.h>

namespace rvsweep {

at::Tensor change_squared(const at::Tensor& now, const at::Tensor& old, const at::Tensor& written) {
  const at::Tensor change = (now.to(at::kDouble) - old.to(at::kDouble)) * written;
  return change.square().flatten(1).sum(1);
}

}  // namespace rvsweep
