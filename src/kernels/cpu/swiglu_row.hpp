#pragma once
// The gate of the MLP over one row, for loops that are compiled for several vector widths.
#include <cstdint>

#include "kernels/cpu/simd.hpp"

namespace rvsweep {

/// out [I] = silu(gate [I]) * up [I], SiLU rounded before the product.
template <class Number>
RVSWEEP_INLINE void gate_row(const Number* __restrict gate, const Number* __restrict up,
                             std::int64_t I, Number* __restrict out) {
#pragma omp simd
  for (std::int64_t i = 0; i < I; ++i) {
    const float x = wide(gate[i]);
    Number silu;
    narrow(x / (1.0F + exponential(-x)), silu);
    narrow(wide(silu) * wide(up[i]), out[i]);
  }
}

}  // namespace rvsweep
