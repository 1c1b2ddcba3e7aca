#pragma once
// Two devices of libtorch's type PrivateUse1 that compute on the CPU under a GPU's rules, so that
// whatever a GPU would do runs on any machine.
//
// The host cannot read or write their memory: touching it ends the process with exit code 1 and a
// message. New memory holds NaN (integers: -1). c10::Error is thrown by an operator that is given
// - tensors of the host and of a device together, 0-dimensional ones of the host excepted;
// - a tensor of a device that is not the current one of the thread (c10::DeviceGuard);
// - to scaled_dot_product_attention, what CUDA's fast kernels do not take.
// An index out of range is a c10::AcceleratorError, as CUDA reports it.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rvsweep::testing {

at::Device test_device(int index = 0);  // 0 or 1

/// What all devices have done since the process began; views are no operators.
struct DeviceCounts {
  std::int64_t operators = 0;
  std::int64_t to_device = 0, to_host = 0;  // copies between host and device
  std::int64_t synchronisations = 0;        // times that CUDA would have made the host wait
  DeviceCounts operator-(const DeviceCounts& before) const;
};
DeviceCounts device_counts();

/// Waits for a device. Until then a non-blocking copy has not written to pinned memory, and what
/// one reads there may not change (c10::Error). With other memory of the host it waits by itself.
void synchronise(const at::Device& device);

/// Most bytes of a device that tensors have held at once since the last reset, each tensor's in
/// multiples of 512 bytes, as libtorch's allocator for CUDA counts them.
std::int64_t peak_bytes(const at::Device& device);
void reset_peak(const at::Device& device);

}  // namespace rvsweep::testing
