#pragma once
// The CUDA driver (libcuda.so.1), opened by name so that one binary serves machines without it.
#include <optional>
#include <string>

namespace rvsweep::cuda {

/// Whether the driver can be opened.
bool has_driver();

/// CUDA version that the driver offers, 1000 major + 10 minor; 0 where it gives none.
int driver_version();

/// Starts the driver, which comes before all that follows. Its words where it cannot; else empty.
std::string start_error();

/// Of a device of this process; nothing where the driver does not give it.
std::optional<std::string> device_name(int device);

/// 32 hexadecimal digits that no other GPU has, whatever its index in a process; empty where the
/// driver gives none.
std::string device_uuid(int device);

}  // namespace rvsweep::cuda
