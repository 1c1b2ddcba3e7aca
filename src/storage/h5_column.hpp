#pragma once
// Columns of result_table.hpp as HDF5 datasets [items, shape...]. Throws h5::Error.
#include <functional>

#include "rvsweep/plan/result_table.hpp"
#include "storage/h5.hpp"

namespace rvsweep::h5 {

/// none: contiguous, for small files that are written and read whole.
/// compressed: chunks of at most 512 KiB, filtered as create_dataset does; for results.h5.
enum class Chunking { none, compressed };

/// Creates the dataset of a column below `parent` (a '/' in its name makes groups) with the
/// attributes `units`, `description` and, for metrics, `definition`.
Handle create_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                     Chunking chunking);

/// Writes `values` as the items from `first` on. They must fit the column's type and shape.
void write_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                 const ColumnValues& values);

/// Creates, writes and closes a whole column.
void write_column(const Handle& parent, const ColumnSpec& spec, const ColumnValues& values,
                  Chunking chunking);

/// Values of the items [first, end) of a column.
using PieceOf = std::function<ColumnValues(std::int64_t first, std::int64_t end)>;
/// Streams the column: `piece` is called for consecutive ranges that fit in memory.
void write_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                  const PieceOf& piece, Chunking chunking);

/// Items of an existing dataset. Error when its type or shape differs from `spec`.
std::int64_t count_items(const Handle& dataset, const ColumnSpec& spec);

/// Reads `items` items from `first` on; `spec` fits the dataset, see count_items.
ColumnValues read_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                        std::int64_t items);

/// Reads all items. Error when the dataset's type or shape differs from `spec`.
ColumnValues read_column(const Handle& parent, const ColumnSpec& spec);

/// The same as a vector of what the column's type is in memory.
template <class Value>
std::vector<Value> read_values(const Handle& parent, const ColumnSpec& spec) {
  return std::get<std::vector<Value>>(read_column(parent, spec));
}

/// Streams a column of one text an item to `take`.
void read_texts(const Handle& parent, const ColumnSpec& spec,
                const std::function<void(const std::string&)>& take);

/// Streams a column from one group to another.
void copy_column(const Handle& from, const Handle& to, const ColumnSpec& spec, Chunking chunking);

/// Reads a dataset of any type in full and discards it: Error where it is damaged.
void read_through(const Handle& dataset);

/// Whether `values` holds `items` items of the column, in its type.
bool fits(const ColumnSpec& spec, std::int64_t items, const ColumnValues& values);

}  // namespace rvsweep::h5
