#pragma once
// Which pairs of tokens merge, how early, into what.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rvsweep {

struct Merge {
  std::int32_t rank;    // smaller merges first
  std::int32_t merged;  // id of the token the pair becomes
};

/// Hash table with open addressing: a vocabulary has some 10^5 merges, and encoding looks up two
/// for each byte.
class MergeTable {
 public:
  explicit MergeTable(std::size_t n_merges);

  /// A pair set again takes the later merge.
  void set(std::int32_t left, std::int32_t right, Merge merge);
  /// nullptr where the pair does not merge.
  const Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::uint64_t pair;
    Merge merge;
  };
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  std::size_t slot_of(std::uint64_t pair) const;

  std::vector<Slot> slots_;  // a power of two, at most three quarters full
};

}  // namespace rvsweep
