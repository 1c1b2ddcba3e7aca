#pragma once
// The memory of a test device: addresses that nobody may touch, and their copy for the CPU.
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

namespace rvsweep::testing {

constexpr std::size_t address_bytes = std::size_t{1} << 38;  // reserved for each device
constexpr std::size_t block_bytes = 512;

/// A device's addresses, which nobody may touch, and as many of the host that stand for them.
class DeviceMemory {
 public:
  DeviceMemory() : device_(reserve(PROT_NONE)), host_(reserve(PROT_READ | PROT_WRITE)) {
    free_.emplace(0, address_bytes);
  }

  bool holds(const void* address) const { return is_from(device_, address); }
  bool holds_on_host(const void* address) const { return is_from(host_, address); }
  char* on_host(const void* address) const {
    return host_ + (static_cast<const char*>(address) - device_);
  }

  void* allocate(std::size_t bytes) {
    bytes = (bytes + block_bytes - 1) / block_bytes * block_bytes;
    const std::scoped_lock lock(mutex_);
    auto place = free_.begin();
    while (place->second < bytes) ++place;
    const auto [offset, size] = *place;
    free_.erase(place);
    if (size > bytes) free_.emplace(offset + bytes, size - bytes);
    used_.emplace(offset, bytes);
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    std::memset(host_ + offset, 0xff, bytes);
    return device_ + offset;
  }

  void release(void* address) {
    const std::scoped_lock lock(mutex_);
    const auto used = used_.find(static_cast<std::size_t>(static_cast<char*>(address) - device_));
    in_use_ -= used->second;
    auto place = free_.emplace(*used).first;
    used_.erase(used);
    join(place);
    if (place != free_.begin()) join(std::prev(place));
  }

  std::size_t peak() const { return peak_; }
  void reset_peak() { peak_ = in_use_; }

 private:
  using Places = std::map<std::size_t, std::size_t>;  // offset, bytes

  static bool is_from(const char* begin, const void* address) {
    const auto* const at = static_cast<const char*>(address);
    return at >= begin && at < begin + address_bytes;
  }

  static char* reserve(int protection) {
    void* const address = mmap(nullptr, address_bytes, protection,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(address != MAP_FAILED, "no addresses for a test device");
    return static_cast<char*>(address);
  }

  /// With the free place that follows, if it begins where this one ends.
  void join(Places::iterator place) {
    const auto next = std::next(place);
    if (next == free_.end() || place->first + place->second != next->first) return;
    place->second += next->second;
    free_.erase(next);
  }

  char* device_;
  char* host_;
  std::mutex mutex_;
  Places free_, used_;
  std::size_t in_use_ = 0, peak_ = 0;
};

}  // namespace rvsweep::testing
