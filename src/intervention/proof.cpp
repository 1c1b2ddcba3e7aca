#include "rvsweep/intervention/proof.hpp"

#include <ATen/TensorOperators.h>

namespace rvsweep {

PatchProof sum_of(const RowProof& proof) {
  PatchProof sum;
  for (const PatchProof& patch : proof) {
    sum.cells_changed += patch.cells_changed;
    sum.cells_dropped += patch.cells_dropped;
    sum.change_squared += patch.change_squared;
  }
  return sum;
}

at::Tensor change_squared(const at::Tensor& now, const at::Tensor& old, const at::Tensor& written) {
  const at::Tensor change = (now.to(at::kDouble) - old.to(at::kDouble)) * written;
  return change.square().flatten(1).sum(1);
}

}  // namespace rvsweep
