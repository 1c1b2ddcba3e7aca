#pragma once
// libtorch's errors that speak of the device, and not of what it was computing.
#include <c10/core/Device.h>

#include <exception>
#include <string>

namespace rvsweep {

/// A tensor found no memory on the device, which is otherwise sound.
bool is_out_of_memory(const std::exception& error);

/// Gives back to the device what its allocator keeps for later tensors; the CPU's stays.
void empty_cache(const c10::Device& device);

/// Throws in the place of an `error` after which every later call fails (a CUDA error, a
/// device-side assert, an internal error of cuBLAS, cuDNN or cuSOLVER) DeviceError, and in that of
/// one that is_out_of_memory DeviceMemoryError, with host, device, the cause's first line and what
/// to do: `less_memory` in the second case. Returns where `error` is neither.
void throw_device_error(const std::exception& error, const c10::Device& device,
                        const std::string& less_memory);

/// What `work` returns; its errors as throw_device_error tells them.
template <class Work>
auto naming_device_errors(const c10::Device& device, const std::string& less_memory,
                          const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    throw_device_error(error, device, less_memory);
    throw;
  }
}

}  // namespace rvsweep
