#include "rvsweep/intervention/visibility.hpp"

#include <map>

namespace rvsweep {

LayerVisibility visibility_of(const std::vector<CompiledRow>& rows, std::int64_t n_layers,
                              std::int64_t prompt_columns, std::int64_t step) {
  LayerVisibility result;
  std::map<Visibility, std::size_t> known;
  for (std::int64_t layer = 0; layer < n_layers; ++layer) {
    Visibility seen{prompt_columns, {}};
    for (const CompiledRow& row : rows) {
      const Growth growth = row.growth_at(layer);
      seen.rows.push_back(
          {.first = static_cast<std::int32_t>(prompt_columns - row.cells_at(layer, step)),
           .frozen = growth == Growth::frozen,
           .compound = growth == Growth::compound});
    }
    const auto [found, is_new] = known.try_emplace(seen, result.classes.size());
    if (is_new) result.classes.push_back(std::move(seen));
    result.class_of_layer.push_back(found->second);
  }
  return result;
}

}  // namespace rvsweep
