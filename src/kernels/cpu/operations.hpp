#pragma once
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep {

/// Loops of our own and oneDNN's products, for float32 and bfloat16.
const Operations& cpu_operations();

}  // namespace rvsweep
