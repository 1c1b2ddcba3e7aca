#pragma once
// Memory that processes of one machine share. It has no name in any file system, so nothing is left
// behind however its users end.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rvsweep {

class SharedMemory {
 public:
  /// `bytes` of zeros. Throws InputError where the system gives none.
  explicit SharedMemory(std::size_t bytes);
  /// The memory of another process of this machine by its handle(), or none where that process
  /// cannot be seen from here (another container, another user). The maker must still hold it.
  static std::optional<SharedMemory> open(const std::string& handle);
  SharedMemory(SharedMemory&& other) noexcept = default;
  ~SharedMemory();

  /// Tells `open` where to look.
  std::string handle() const;
  std::size_t size() const { return size_; }

  /// Several threads may write at once, and do not wait for each other where they are 64 MiB or
  /// more apart (a 64th of the whole beyond 4 GiB). Throws InputError when memory runs out.
  void write(std::size_t offset, const void* data, std::size_t bytes) const;
  /// Maps it for reading; the mapping outlives this object.
  std::shared_ptr<const std::byte> map() const;

 private:
  SharedMemory() = default;
  std::size_t part_bytes() const;

  std::vector<int> parts_;  // files of part_bytes() each, the last shorter
  std::size_t size_ = 0;
};

}  // namespace rvsweep
