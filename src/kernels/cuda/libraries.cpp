#include "kernels/cuda/libraries.hpp"

#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <spdlog/fmt/fmt.h>

#include <cstdlib>

#include "kernels/cuda/driver.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep::cuda {
namespace {

/// "13.0" of 13000, as driver and runtime write it.
std::string cuda_version(long version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// libtorch has no hook for it.
std::string cublas_version() {
  const auto get = reinterpret_cast<int (*)(int, int*)>(dlsym(RTLD_DEFAULT, "cublasGetProperty"));
  int parts[3] = {};  // libraryPropertyType: major, minor, patch
  for (int part = 0; part < 3; ++part)
    if (get == nullptr || get(part, &parts[part]) != 0) return "unknown";
  return fmt::format("{}.{}.{}", parts[0], parts[1], parts[2]);
}

}  // namespace

const std::string& why_not_open() {
  static const std::string reason = [] {
#ifdef RVSWEEP_CUDA
    const bool open = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) != nullptr;
    return open ? std::string() : fmt::format("libtorch_cuda cannot be opened ({})", dlerror());
#else
    return std::string("this program was built without GPU support (preset no-cuda)");
#endif
  }();
  return reason;
}

std::string why_unusable() {
  if (!has_driver()) return "there is no GPU driver (libcuda.so.1)";
  if (!why_not_open().empty()) return why_not_open();
  const auto& hooks = at::detail::getCUDAHooks();
  const long needed = hooks.versionCUDART();
  const std::string versions = fmt::format("it offers CUDA {}, libtorch is built for CUDA {}",
                                           cuda_version(driver_version()), cuda_version(needed));
  // Within a major version a driver serves newer runtimes.
  if (driver_version() / 1000 < needed / 1000) return "the GPU driver is too old: " + versions;
  if (const std::string error = start_error(); !error.empty())
    return fmt::format("the GPU driver does not start ({}); {}", error, versions);
  if (hooks.getNumGPUs() > 0) return "";
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return fmt::format("the GPU driver has no device that libtorch can use ({}{})", versions,
                     visible == nullptr ? "" : fmt::format("; CUDA_VISIBLE_DEVICES={}", visible));
}

GpuLibraries libraries() {
  const auto& hooks = at::detail::getCUDAHooks();
  const long cudnn = hooks.versionRuntimeCuDNN();
  return {cuda_version(hooks.versionCUDART()), cublas_version(),
          fmt::format("{}.{}.{}", cudnn / 10000, cudnn / 100 % 100, cudnn % 100)};
}

std::string driver_text() {
  std::string module = read_file("/sys/module/nvidia/version").value_or("");
  module = module.substr(0, module.find('\n'));
  return module + (module.empty() ? "" : ", ") + "for CUDA " + cuda_version(driver_version());
}

}  // namespace rvsweep::cuda
