#pragma once
// Columns of result_table.hpp as HDF5 datasets [items, shape...].
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/storage/h5.hpp"

namespace rvsweep::h5 {

/// plain: contiguous, for small files that are written and read whole.
/// compressed: chunks of at most 512 KiB, filtered as create_dataset does; for results.h5.
enum class Layout { plain, compressed };

/// Creates the dataset of a column below `parent` (a '/' in its name makes groups) with the
/// attributes `units`, `description` and, for metrics, `definition`.
Handle create_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                     Layout layout);

/// Writes `values` as the items from `first` on. They must fit the column's type and shape.
void write_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                 const ColumnValues& values);

/// Creates, writes and closes a whole column.
void write_column(const Handle& parent, const ColumnSpec& spec, const ColumnValues& values,
                  Layout layout);
/// The same for texts, of which few are copied at a time.
void write_column(const Handle& parent, const ColumnSpec& spec,
                  const std::vector<std::string>& texts, Layout layout);

/// Reads all items. Error when the dataset's type or shape differs from `spec`.
ColumnValues read_column(const Handle& parent, const ColumnSpec& spec);

/// Lists of unequal length, as variable-length int32: item i of the dataset is lists[i].
void write_lists(const Handle& parent, const ColumnSpec& spec,
                 const std::vector<std::vector<std::int32_t>>& lists, Layout layout);
std::vector<std::vector<std::int32_t>> read_lists(const Handle& parent, const std::string& name);

/// Reads a dataset of any type piece by piece and throws it away; Error when a piece is damaged.
void read_through(const Handle& dataset);

/// Whether `values` holds `items` items of the column, in its type.
bool fits(const ColumnSpec& spec, std::int64_t items, const ColumnValues& values);

}  // namespace rvsweep::h5
