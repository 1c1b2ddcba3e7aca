#include "rvsweep/plan/result_table.hpp"

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
  switch (spec.type) {
    case ColumnType::int32:
      return std::vector<std::int32_t>(count, -1);
    case ColumnType::int64:
      return std::vector<std::int64_t>(count, -1);
    case ColumnType::uint64:
      return std::vector<std::uint64_t>(count, 0);
    case ColumnType::float32:
      return std::vector<float>(count, std::numeric_limits<float>::quiet_NaN());
    case ColumnType::float64:
      return std::vector<double>(count, std::numeric_limits<double>::quiet_NaN());
    case ColumnType::utf8:
      return std::vector<std::string>(count);
    case ColumnType::status:
      return std::vector<std::int8_t>(count, static_cast<std::int8_t>(RowStatus::pending));
  }
  RVSWEEP_UNREACHABLE("column " + spec.name + " has an unknown type");
}

ItemTable empty_table(const std::vector<ColumnSpec>& specs, std::vector<std::int64_t> index) {
  ItemTable table;
  table.index = std::move(index);
  for (const ColumnSpec& spec : specs)
    table.columns.push_back({spec, fill_values(spec, std::ssize(table.index))});
  return table;
}

}  // namespace rvsweep
