#include "rvsweep/kernels/hardware.hpp"

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "kernels/cuda/driver.hpp"
#include "rvsweep/kernels/device.hpp"

namespace rvsweep {

std::string blas_name() {
  const std::string config = at::show_config(), key = "BLAS_INFO=";
  const auto at = config.find(key);
  if (at == std::string::npos) return "unknown";
  const auto begin = at + key.size();
  return config.substr(begin, config.find_first_of(",\n", begin) - begin);
}

GpuReport find_gpus() {
  GpuReport report;
#ifdef RVSWEEP_CUDA
  report.built_in = true;
#endif
  report.driver = cuda::has_driver();
  if (!report.driver) return report;
  report.driver_version = cuda::driver_version();
  if (resolve_device("auto") != "cuda") return report;
  const int devices = at::detail::getCUDAHooks().getNumGPUs();
  for (int device = 0; device < devices; ++device)
    report.names.push_back(hardware_name(place_rank("cuda", "float32", device)));
  return report;
}

}  // namespace rvsweep
