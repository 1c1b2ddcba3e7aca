#include "rvsweep/plan/result_table.hpp"

#include <array>
#include <limits>

namespace rvsweep {

std::int64_t item_size(const ColumnSpec& spec) {
  std::int64_t size = 1;
  for (std::int64_t extent : spec.shape) size *= extent;
  return size;
}

ColumnValues fill_values(const ColumnSpec& spec, std::int64_t items) {
  RVSWEEP_EXPECT(items >= 0, "a table has no negative number of items");
  const auto count = static_cast<std::size_t>(items * item_size(spec));
  static const std::array<ColumnValues, 9> of_one_item{
      // by type
      std::vector{static_cast<std::int8_t>(RowStatus::pending)},
      std::vector<std::int32_t>{-1},
      std::vector<std::int64_t>{-1},
      std::vector<std::uint64_t>{0},
      std::vector{std::numeric_limits<float>::quiet_NaN()},
      std::vector{std::numeric_limits<double>::quiet_NaN()},
      std::vector<std::string>(1),
      std::vector<std::vector<std::int32_t>>(1),
      std::vector<std::vector<float>>(1)};
  ColumnValues values = of_one_item.at(static_cast<std::size_t>(spec.type));
  std::visit([&](auto& all) { all = std::decay_t<decltype(all)>(count, all.front()); }, values);
  return values;
}

ItemTable empty_table(const std::vector<ColumnSpec>& specs, std::vector<std::int64_t> index) {
  ItemTable table;
  table.index = std::move(index);
  for (const ColumnSpec& spec : specs)
    table.columns.push_back({spec, fill_values(spec, std::ssize(table.index))});
  return table;
}

}  // namespace rvsweep
