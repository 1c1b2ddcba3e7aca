#pragma once
// Many texts in few allocations: a std::string each takes 32 bytes, and as much again where it is
// longer than 15.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

/// Texts by index, in the order in which they were added. At most 4 GiB each.
class TextStore {
 public:
  void add(std::string_view text);
  /// Valid until the store is assigned to or destroyed; moving the store keeps it.
  std::string_view operator[](std::size_t index) const;
  std::size_t size() const { return slices_.size(); }

 private:
  struct Slice {
    std::uint32_t piece, begin, size;
  };

  std::vector<std::vector<char>> pieces_;  // never grown beyond what they reserved
  std::vector<Slice> slices_;              // by text
};

}  // namespace rvsweep
