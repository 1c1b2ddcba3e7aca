#pragma once
// What a bundle hands back, as columns: plain data that experiment/ fills, a segment stores and
// merge lays out in plan order. One table per kind of item (/prompts, /rows).
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// In the order of ColumnValues' alternatives.
enum class ColumnType {
  status,
  int32,
  int64,
  uint64,
  float32,
  float64,
  utf8,
  int32_list,  // of unequal length
  float32_list
};

/// Value of /rows/status. `pending` appears only in a partial merge.
enum class RowStatus : std::int8_t { ok = 0, refused = 1, failed = 2, pending = 3 };

/// One dataset of results.h5: [items, shape...].
struct ColumnSpec {
  std::string name = {};  // below the group: "tokens" in "/rows"
  ColumnType type = {};
  std::vector<std::int64_t> shape = {};  // of one item; empty for a scalar
  std::string units = "1";               // "tokens", "nats", ...
  std::string description = {};
  std::string definition = {};  // metrics only: name, version and formula; else empty
};

/// Row-major values of one column for the items of a table, [items, shape...].
using ColumnValues =
    std::variant<std::vector<std::int8_t>, std::vector<std::int32_t>, std::vector<std::int64_t>,
                 std::vector<std::uint64_t>, std::vector<float>, std::vector<double>,
                 std::vector<std::string>, std::vector<std::vector<std::int32_t>>,
                 std::vector<std::vector<float>>>;

struct Column {
  ColumnSpec spec;
  ColumnValues values;
};

/// Columns of some of the sweep's items; `index[i]` is the number of the i-th one (plan.hpp).
struct ItemTable {
  std::vector<std::int64_t> index;
  std::vector<Column> columns;
};

/// The name of a column and the type of its values, see `columns` in result_schema.hpp.
template <class T>
struct ColumnKey {
  const char* name;
};

/// The values of a column; null where the table has none, because its read-out is off. Throws
/// std::bad_variant_access where the column is of another type.
template <class T>
std::vector<T>* find_column(ItemTable& table, ColumnKey<T> key) {
  for (Column& column : table.columns)
    if (column.spec.name == key.name) return &std::get<std::vector<T>>(column.values);
  return nullptr;
}

/// The values of a column that the table has.
template <class T>
std::vector<T>& column(ItemTable& table, ColumnKey<T> key) {
  std::vector<T>* values = find_column(table, key);
  RVSWEEP_EXPECT(values != nullptr, std::string("the schema has column ") + key.name);
  return *values;
}
template <class T>
const std::vector<T>& column(const ItemTable& table, ColumnKey<T> key) {
  return column(const_cast<ItemTable&>(table), key);
}

/// Facts of this particular run, kept under /run only.
struct BundleRunFacts {
  int rank = 0;
  std::string host;
  std::string started;  // UTC, ISO 8601
  double seconds = 0;
};

/// Everything that one bundle adds to results.h5. Every table holds the full set of that sweep's
/// columns.
struct BundleResult {
  BundleId bundle;
  ItemTable prompts;
  ItemTable rows;  // its columns include status (RowStatus) and reason (utf8)
  BundleRunFacts run;
};

/// The value an item has before (or without) a result: NaN, -1 for integers, empty text or list, 0
/// for uint64.
ColumnValues fill_values(const ColumnSpec& spec, std::int64_t items);

/// A table of `index.size()` items without results.
ItemTable empty_table(const std::vector<ColumnSpec>& specs, std::vector<std::int64_t> index);

/// Number of scalars of one item: the product of `shape`.
std::int64_t item_size(const ColumnSpec& spec);

}  // namespace rvsweep
