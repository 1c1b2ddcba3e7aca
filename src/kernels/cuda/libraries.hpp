#pragma once
// libtorch's GPU part (libtorch_cuda), opened by name, and what comes with it.
#include <string>

#include "rvsweep/kernels/device.hpp"

namespace rvsweep::cuda {

/// Opens libtorch_cuda for good; why that cannot be, else empty.
const std::string& why_not_open();

/// Why no GPU can be used, with the versions concerned; empty where one can.
std::string why_unusable();

/// Of the libraries that libtorch_cuda, which must be open, runs with.
GpuLibraries libraries();

/// As gpu_driver tells it.
std::string driver_text();

}  // namespace rvsweep::cuda
