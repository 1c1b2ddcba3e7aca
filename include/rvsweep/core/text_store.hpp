#pragma once
// Many texts that are kept for long, close together: a std::string each takes 32 bytes, and as much
// again where it is longer than 15.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

/// Texts by number, in the order in which they were added. At most 4 GiB each.
class TextStore {
 public:
  void add(std::string_view text);
  /// Valid until the store is assigned to or destroyed; moving the store keeps it.
  std::string_view operator[](std::size_t number) const;
  std::size_t size() const { return places_.size(); }

 private:
  struct Place {
    std::uint32_t piece, begin, size;
  };

  std::vector<std::vector<char>> pieces_;  // never grown beyond what they reserved
  std::vector<Place> places_;
};

}  // namespace rvsweep
