#pragma once
// Typed writing into the columns of an item table.
#include <string>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// A table of `index.size()` items whose columns hold their fill values.
inline ItemTable empty_table(const std::vector<ColumnSpec>& specs,
                             std::vector<std::int64_t> index) {
  ItemTable table;
  table.index = std::move(index);
  for (const ColumnSpec& spec : specs)
    table.columns.push_back({spec, fill_values(spec, std::ssize(table.index))});
  return table;
}

/// The values of a column, or null where the sweep does not ask for it.
template <class T>
std::vector<T>* find_column(ItemTable& table, const std::string& name) {
  for (Column& column : table.columns)
    if (column.spec.name == name) return &std::get<std::vector<T>>(column.values);
  return nullptr;
}

/// The values of a column that every sweep has.
template <class T>
std::vector<T>& column(ItemTable& table, const std::string& name) {
  std::vector<T>* values = find_column<T>(table, name);
  RVSWEEP_EXPECT(values != nullptr, "the schema has column " + name);
  return *values;
}

}  // namespace rvsweep
