#include "rvsweep/kernels/device_error.hpp"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"

namespace rvsweep {
namespace {

enum class Fault { none, out_of_memory, device };

constexpr int cuda_error_memory_allocation = 2;  // cudaErrorMemoryAllocation

/// Without libtorch's stack trace and its advice.
std::string first_line(const std::exception& error) {
  const auto* of_libtorch = dynamic_cast<const c10::Error*>(&error);
  const std::string text =
      of_libtorch != nullptr ? of_libtorch->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

/// From the words in which libtorch tells a status of CUDA, cuBLAS, cuDNN or cuSOLVER, or that the
/// CPU has no memory.
Fault fault_in(std::string_view text) {
  const auto says = [&](const auto&... words) {
    return ((text.find(words) != std::string_view::npos) || ...);
  };
  if (says("_STATUS_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate"))
    return Fault::out_of_memory;
  // The library refuses these arguments and goes on working.
  if (says("_STATUS_INVALID_VALUE", "_STATUS_NOT_SUPPORTED", "_STATUS_BAD_PARAM"))
    return Fault::none;
  return says("CUDA error", "CUDA driver error", "cuDNN error", "cusolver error",
              "device-side assert", "ECC error")
             ? Fault::device
             : Fault::none;
}

Fault fault_of(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return Fault::out_of_memory;
  if (const auto* accelerator = dynamic_cast<const c10::AcceleratorError*>(&error))
    return accelerator->get_error_code() == cuda_error_memory_allocation ? Fault::out_of_memory
                                                                         : Fault::device;
  return fault_in(first_line(error));
}

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  return fault_of(error) == Fault::out_of_memory;
}

void empty_cache(const c10::Device& device) {
  if (!device.is_cpu()) c10::getDeviceAllocator(device.type())->emptyCache();
}

void throw_device_error(const std::exception& error, const c10::Device& device,
                        const std::string& less_memory) {
  const Fault fault = fault_of(error);
  if (fault == Fault::none) return;
  const std::string where = device.str() + " of " + host_name(), cause = first_line(error);
  if (fault == Fault::out_of_memory)
    throw DeviceMemoryError(where + " has too little memory (" + cause + "): " + less_memory);
  throw DeviceError(where + " fails (" + cause +
                    "): look for its errors in nvidia-smi and dmesg, then run the same command "
                    "again where GPUs are sound");
}

}  // namespace rvsweep
