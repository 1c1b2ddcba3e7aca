#include "kernels/cuda/driver.hpp"

#include <dlfcn.h>

#include <array>

namespace rvsweep::cuda {
namespace {

/// Open for good; null where there is no driver.
void* library() {
  static void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL);
  return driver;
}

/// CUresult of a function of the driver; nothing where it has none of that name.
template <class... Arguments>
std::optional<int> result_of(const char* name, Arguments... arguments) {
  const auto function = library() == nullptr
                            ? nullptr
                            : reinterpret_cast<int (*)(Arguments...)>(dlsym(library(), name));
  return function == nullptr ? std::nullopt : std::optional(function(arguments...));
}

template <class... Arguments>
bool call(const char* name, Arguments... arguments) {
  return result_of(name, arguments...) == 0;
}

/// CUdevice of an index.
std::optional<int> handle_of(int device) {
  int handle = 0;
  return call("cuDeviceGet", &handle, device) ? std::optional(handle) : std::nullopt;
}

}  // namespace

bool has_driver() { return library() != nullptr; }

int driver_version() {
  int version = 0;
  return call("cuDriverGetVersion", &version) ? version : 0;
}

std::string start_error() {
  const auto result = result_of("cuInit", 0U);
  if (!result) return "libcuda.so.1 has no cuInit";
  if (*result == 0) return "";
  const char* text = nullptr;
  return call("cuGetErrorString", *result, &text) && text != nullptr
             ? text
             : "CUDA error " + std::to_string(*result);
}

std::optional<std::string> device_name(int device) {
  char name[256] = "";
  const auto handle = handle_of(device);
  if (!handle ||
      !call("cuDeviceGetName", static_cast<char*>(name), static_cast<int>(sizeof name), *handle))
    return std::nullopt;
  return name;
}

std::string device_uuid(int device) {
  std::array<unsigned char, 16> bytes{};
  const auto handle = handle_of(device);
  // The second form tells the slices of one GPU apart.
  if (!handle || (!call("cuDeviceGetUuid", bytes.data(), *handle) &&
                  !call("cuDeviceGetUuid_v2", bytes.data(), *handle)))
    return "";
  std::string text;
  for (const unsigned char byte : bytes)
    for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
  return text;
}

}  // namespace rvsweep::cuda
