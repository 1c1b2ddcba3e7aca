#include "rvsweep/kernels/hardware.hpp"

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "kernels/cuda/driver.hpp"
#include "kernels/cuda/libraries.hpp"

namespace rvsweep {

std::string blas_name() {
  const std::string config = at::show_config(), key = "BLAS_INFO=";
  const auto at = config.find(key);
  if (at == std::string::npos) return "unknown";
  const auto begin = at + key.size();
  return config.substr(begin, config.find_first_of(",\n", begin) - begin);
}

GpuReport find_gpus() {
  GpuReport report{.has_driver = cuda::has_driver(), .problem = why_no_gpu()};
  if (report.has_driver && cuda::why_not_open().empty()) report.libraries = cuda::libraries();
  if (!report.problem.empty()) return report;
  const int devices = at::detail::getCUDAHooks().getNumGPUs();
  for (int device = 0; device < devices; ++device)
    report.names.push_back(hardware_name(place_rank("cuda", "float32", device)));
  report.driver = cuda::driver_text();
  return report;
}

}  // namespace rvsweep
