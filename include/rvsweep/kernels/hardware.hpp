#pragma once
// What libtorch found on this machine, for `rvsweep doctor`.
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

}  // namespace rvsweep
