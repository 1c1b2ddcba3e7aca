#pragma once
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep::cpu {

/// Operations::norm in one pass in place of eight operators (tests/perf/profiles.md).
at::Tensor rms_norm(const at::Tensor& x, const Norm& norm);

}  // namespace rvsweep::cpu
