#pragma once
// The norm before attention, MLP and head.
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// x [..., H] / rms(x) * weight [H], mean square and quotient in float32, then rounded to x's dtype
/// before the product with the weight, as in Hugging Face. On a CPU one pass of our own in place of
/// eight operators (tests/perf/profiles.md); a row's bits depend on nothing but that row.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace rvsweep
