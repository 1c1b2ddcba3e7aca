#pragma once
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep {

/// The CPU's table with products by AMX of the matrices that lie in tiles.
const Operations& amx_operations();

}  // namespace rvsweep
