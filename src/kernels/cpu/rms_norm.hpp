#pragma once
#include <ATen/core/Tensor.h>

namespace rvsweep::cpu {

/// Operations::rms_norm in one pass in place of eight operators (tests/perf/profiles.md).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace rvsweep::cpu
