#pragma once
#include <ATen/core/Tensor.h>

namespace rvsweep::cpu {

/// silu(gate) * up of gate_up [..., 2I], gate's I elements first: [..., I]. SiLU is rounded to the
/// dtype before the product, as in Hugging Face. One pass (tests/perf/profiles.md).
at::Tensor swiglu(const at::Tensor& gate_up);

}  // namespace rvsweep::cpu
