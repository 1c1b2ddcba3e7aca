#include "tokenizer/merge_table.hpp"

#include <bit>

namespace rvsweep {
namespace {

std::uint64_t joined(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(std::size_t n_merges)
    : slots_(std::bit_ceil(n_merges + n_merges / 3 + 1), Slot{empty, {0, 0}}) {}

std::size_t MergeTable::slot_of(std::uint64_t pair) const {
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t mixed = pair * 0x9E3779B97F4A7C15;  // Fibonacci hashing
  std::size_t slot = (mixed ^ mixed >> 32) & mask;
  while (slots_[slot].pair != pair && slots_[slot].pair != empty) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::set(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t pair = joined(left, right);
  slots_[slot_of(pair)] = {pair, merge};
}

const Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  const Slot& slot = slots_[slot_of(joined(left, right))];
  return slot.pair == empty ? nullptr : &slot.merge;
}

}  // namespace rvsweep
