#pragma once
// The gate of the MLP.
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// silu(gate) * up of gate_up [..., 2I], gate's I numbers first: [..., I]. SiLU is rounded to the
/// numbers' format before the product, as in Hugging Face. On a CPU one pass of our own in place of
/// two over strided halves (tests/perf/profiles.md); a row's bits depend on nothing but that row.
at::Tensor swiglu(const at::Tensor& gate_up);

}  // namespace rvsweep
