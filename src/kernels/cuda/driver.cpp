#include "kernels/cuda/driver.hpp"

#include <dlfcn.h>

namespace rvsweep::cuda {
namespace {

/// Open for good; null where there is no driver.
void* library() {
  static void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL);
  return driver;
}

/// Calls a function of the driver; whether it exists and succeeds.
template <class... Arguments>
bool call(const char* name, Arguments... arguments) {
  const auto function = library() == nullptr
                            ? nullptr
                            : reinterpret_cast<int (*)(Arguments...)>(dlsym(library(), name));
  return function != nullptr && function(arguments...) == 0;
}

}  // namespace

bool has_driver() { return library() != nullptr; }

int driver_version() {
  int version = 0;
  return call("cuDriverGetVersion", &version) ? version : 0;
}

std::optional<std::string> device_name(int device) {
  char name[256] = "";
  if (!call("cuDeviceGetName", static_cast<char*>(name), static_cast<int>(sizeof name), device))
    return std::nullopt;
  return name;
}

std::optional<std::size_t> total_memory(int device) {
  std::size_t bytes = 0;
  if (!call("cuDeviceTotalMem_v2", &bytes, device)) return std::nullopt;
  return bytes;
}

}  // namespace rvsweep::cuda
