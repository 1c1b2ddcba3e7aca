#pragma once
// The gate of the MLP over one row, for loops that are compiled for several vector widths.
#include <cstdint>

#include "kernels/cpu/simd.hpp"

namespace rvsweep {

/// out [I] = silu(gate [I]) * up [I], SiLU rounded before the product.
template <class T>
RVSWEEP_INLINE void gate_row(const T* __restrict gate, const T* __restrict up, std::int64_t I,
                             T* __restrict out) {
#pragma omp simd
  for (std::int64_t i = 0; i < I; ++i) {
    const float x = to_float(gate[i]);
    T silu;
    round_to(x / (1.0F + exponential(-x)), silu);
    round_to(to_float(silu) * to_float(up[i]), out[i]);
  }
}

}  // namespace rvsweep
