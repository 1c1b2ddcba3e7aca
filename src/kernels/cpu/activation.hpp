#pragma once
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep::cpu {

/// What Operations::activated_product makes of a product y, [..., I] or [..., 2I], in one pass.
at::Tensor activated(const at::Tensor& y, const Mlp& mlp);

}  // namespace rvsweep::cpu
