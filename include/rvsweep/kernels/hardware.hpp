#pragma once
// What libtorch found on this machine, for `rvsweep doctor`.
#include <string>
#include <vector>

namespace rvsweep {

/// The BLAS that libtorch was built with: "mkl", "open", ...; "generic" is the slow reference one.
std::string blas_name();

struct GpuReport {
  bool built_in = false;           // this program was built with GPU support
  bool driver = false;             // libcuda.so.1 can be opened
  int driver_version = 0;          // CUDA version it offers: 1000 major + 10 minor
  std::vector<std::string> names;  // of the devices that libtorch can use
};
GpuReport find_gpus();

}  // namespace rvsweep
