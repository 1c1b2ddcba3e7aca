#include "rvsweep/kernels/device.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include "kernels/cpu/amx/product.hpp"
#include "kernels/cuda/driver.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// libtorch_cuda registers itself when it is opened, which must precede the first use of CUDA.
bool cuda_available() {
#ifdef RVSWEEP_CUDA
  static const bool available =
      cuda::has_driver() && dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL) != nullptr &&
      at::globalContext().hasCUDA() && at::detail::getCUDAHooks().getNumGPUs() > 0;
  return available;
#else
  return false;
#endif
}

}  // namespace

std::string resolve_device(const std::string& requested) {
  if (requested == "cpu") return "cpu";
  if (requested != "cuda" && requested != "auto")
    throw InputError("device", "\"" + requested + "\" is unknown", "choose cpu, cuda or auto");
  const bool available = cuda_available();
  if (requested == "cuda" && !available)
    throw InputError("run.device", "cuda was asked for, but no usable GPU was found",
                     "use --device cpu or auto, or check the driver with nvidia-smi");
  return available ? "cuda" : "cpu";
}

std::string resolve_dtype(const std::string& requested, const std::string& device) {
  if (requested == "float32" || requested == "bfloat16") return requested;
  if (requested == "float16") {
    if (device == "cuda") return requested;
    throw InputError("run.dtype", "float16 runs on GPUs only, and the device is a CPU",
                     "choose bfloat16 or float32");
  }
  if (requested != "auto")
    throw InputError("dtype", "\"" + requested + "\" is unknown",
                     "choose float32, bfloat16, float16 or auto");
  return device == "cuda" ? "bfloat16" : "float32";
}

Placement place_rank(const std::string& device, const std::string& dtype, int local_rank) {
  Placement placement;
  placement.dtype = dtype == "bfloat16"  ? at::kBFloat16
                    : dtype == "float16" ? at::kHalf
                                         : at::kFloat;
  if (device == "cuda") {
    RVSWEEP_EXPECT(cuda_available(), "a GPU placement needs a GPU");
    const int n_devices = at::detail::getCUDAHooks().getNumGPUs();
    placement.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % n_devices));
  }
  return placement;
}

void use_threads(int threads) { at::set_num_threads(threads); }

std::string hardware_name(const Placement& placement) {
  if (placement.device.is_cpu()) {
    std::string capability = at::get_cpu_capability();
    if (has_amx()) capability += " with AMX";
    return capability;
  }
  // libtorch gives no name without CUDA headers.
  const auto name = cuda::device_name(placement.device.index());
  if (!name)
    throw InputError("", "the GPU driver does not give the device's name", "check nvidia-smi");
  return *name;
}

double total_memory(const Placement& placement) {
  const auto bytes = cuda::total_memory(placement.device.index());
  if (!bytes)
    throw InputError("run.device_memory", "the GPU driver does not give the device's memory",
                     "set it, for example to 80GB");
  return static_cast<double>(*bytes);
}

std::string libtorch_version() { return TORCH_VERSION; }

bool is_on_host(const at::Device& device) { return device.is_cpu(); }

bool is_on_host(const at::Tensor& x) { return x.is_cpu(); }

}  // namespace rvsweep
