#pragma once
// Memory that processes of one machine share. It has no name in any file system, so nothing is left
// behind however its users end.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "rvsweep/core/descriptor.hpp"

namespace rvsweep {

class SharedMemory {
 public:
  /// `bytes` of zeros, which take up memory once they are written. Throws InputError where the
  /// system gives none.
  explicit SharedMemory(std::size_t bytes);
  /// The memory of another process of this machine by its handle(), or none where that process
  /// cannot be seen from here (another container, another user). The maker must still hold it.
  static std::optional<SharedMemory> open(const std::string& handle);

  /// Tells `open` where to look.
  std::string handle() const;

  /// For reading and writing; outlives this object.
  std::shared_ptr<std::byte> map() const;

 private:
  SharedMemory(Descriptor memory, std::size_t bytes);

  Descriptor memory_;
  std::size_t size_;
};

/// `bytes` of zeros of this process alone, in large pages where the system gives them, for as long
/// as the result lives. Throws InputError where the system gives none.
std::shared_ptr<std::byte> private_memory(std::size_t bytes);

/// From now on this process may only read the `bytes` of a mapping.
void make_read_only(std::byte* mapping, std::size_t bytes);

}  // namespace rvsweep
