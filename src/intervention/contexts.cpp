#include "rvsweep/intervention/contexts.hpp"

#include <algorithm>

namespace rvsweep {

ContextState ContextState::allocate(const ModelConfig& config, const Placement& placement,
                                    const std::vector<std::int64_t>& slot_columns,
                                    std::int64_t columns) {
  const bool alike = std::ranges::all_of(slot_columns, [&](auto n) { return n == columns; });
  ContextState state{.columns = columns};
  std::int64_t begin = 0;
  for (const std::int64_t n : slot_columns) {
    state.slots.push_back(alike ? CacheSlot{std::ssize(state.slots), 0, n}
                                : CacheSlot{0, begin, begin + n});
    begin += n;
  }
  state.cache = KvCache::allocate(config, placement, alike ? std::ssize(slot_columns) : 1,
                                  alike ? columns : begin);
  return state;
}

KvCache ContextState::last_cells(std::int64_t slot, std::int64_t n) const {
  const CacheSlot& of = slots[static_cast<std::size_t>(slot)];
  return cache.some_rows(of.row, 1).some_columns(of.end - n, n);
}

}  // namespace rvsweep
