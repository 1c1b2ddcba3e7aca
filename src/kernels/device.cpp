#include "rvsweep/kernels/device.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/headeronly/version.h>

#include "kernels/cpu/amx/product.hpp"
#include "kernels/cuda/arithmetic.hpp"
#include "kernels/cuda/driver.hpp"
#include "kernels/cuda/libraries.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device_error.hpp"

extern "C" {  // of OpenMP; not every compiler that builds this brings its header
int omp_get_dynamic();
int omp_get_thread_limit();
}

namespace rvsweep {

void open_gpu_support() {
  if (cuda::has_driver()) cuda::why_not_open();
}

const std::string& why_no_gpu() {
  static const std::string reason = cuda::why_unusable();
  return reason;
}

std::string resolve_device(const std::string& requested) {
  if (requested == "cpu") return "cpu";
  if (requested != "cuda" && requested != "auto")
    throw InputError("device", "\"" + requested + "\" is unknown", "choose cpu, cuda or auto");
  const std::string& reason = why_no_gpu();
  if (reason.empty()) return "cuda";
  if (requested == "cuda")
    throw InputError("run.device", "cuda was asked for, but " + reason,
                     "use --device cpu or auto, or see nvidia-smi and rvsweep doctor");
  if (cuda::has_driver()) spdlog::warn("run.device = auto is the CPU here, because {}", reason);
  return "cpu";
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
    if (const std::string& reason = why_no_gpu(); !reason.empty())
      throw InputError("run.device", "the sweep runs on GPUs, but " + reason,
                       "start every rank where a GPU is, see nvidia-smi and rvsweep doctor");
    cuda::set_arithmetic();
    const int n_devices = at::detail::getCUDAHooks().getNumGPUs();
    placement.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % n_devices));
  }
  return placement;
}

void refuse_fewer_threads(int threads) {
  if (threads > 1 && omp_get_dynamic() != 0)
    throw InputError("OMP_DYNAMIC",
                     "lets OpenMP give fewer threads than products are shared out over",
                     "unset it");
  if (threads > omp_get_thread_limit())
    throw InputError("OMP_THREAD_LIMIT",
                     "allows " + std::to_string(omp_get_thread_limit()) + " of the " +
                         std::to_string(threads) + " threads that products are shared out over",
                     "unset it, or set run.threads");
}

void prepare_thread(const Placement& placement, int threads) {
  refuse_fewer_threads(threads);
  at::set_num_threads(threads);
  const at::Device device = placement.device;
  naming_device_errors(device, "end what else uses the GPU",
                       [&] { c10::impl::getDeviceGuardImpl(device.type())->setDevice(device); });
}

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

GpuLibraries gpu_libraries(const Placement& placement) {
  return placement.device.is_cuda() ? cuda::libraries() : GpuLibraries{};
}

std::string gpu_driver() { return cuda::driver_text(); }

std::string gpu_uuid(const Placement& placement) {
  return placement.device.is_cuda() ? cuda::device_uuid(placement.device.index()) : "";
}

bool is_on_host(const at::Device& device) { return device.is_cpu(); }

bool is_on_host(const at::Tensor& x) { return x.is_cpu(); }

}  // namespace rvsweep
