#pragma once
// What libtorch found on this machine, for `rvsweep doctor` and `rvsweep plan`.
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/kernels/device.hpp"

namespace rvsweep {

/// The BLAS that libtorch was built with: "mkl", "open", ...; "generic" is the slow reference one.
std::string blas_name();

struct GpuReport {
  bool has_driver = false;                // libcuda.so.1 can be opened
  std::string problem;                    // why libtorch can use none; empty where it can
  std::vector<std::string> names;         // of the devices that it can use
  std::string driver;                     // its version, see gpu_driver; with names
  std::optional<GpuLibraries> libraries;  // where libtorch's GPU part can be opened
};
GpuReport find_gpus();

/// What one thread of this CPU makes of a dtype now, measured for about half a second.
struct MeasuredSpeed {
  double products = 0, attention = 0;  // floating-point operations a second, over many rows
  double reads = 0;                    // bytes a second of a matrix that one row is multiplied with
};
MeasuredSpeed measure_core(at::ScalarType dtype);

}  // namespace rvsweep
