#pragma once
// Columns of result_table.hpp as HDF5 datasets [items, shape...].
#include <functional>

#include "rvsweep/plan/result_table.hpp"
#include "storage/h5.hpp"

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

/// The values of the items [first, end) of a column that is not held in one piece.
using PieceOf = std::function<ColumnValues(std::int64_t first, std::int64_t end)>;
/// The same for `items` items, of which few are asked for at a time.
void write_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                  const PieceOf& piece, Layout layout);

/// Items of an existing dataset. Error when its type or shape differs from `spec`.
std::int64_t count_items(const Handle& dataset, const ColumnSpec& spec);

/// Reads `items` items from `first` on, of a dataset that count_items has found to fit `spec`.
ColumnValues read_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                        std::int64_t items);

/// Reads all items. Error when the dataset's type or shape differs from `spec`.
ColumnValues read_column(const Handle& parent, const ColumnSpec& spec);

/// Hands the texts of a column of one text an item to `take`, holding few at a time. Error as
/// above.
void read_texts(const Handle& parent, const ColumnSpec& spec,
                const std::function<void(const std::string&)>& take);

/// Copies a column piece by piece. Error as above.
void copy_column(const Handle& from, const Handle& to, const ColumnSpec& spec, Layout layout);

/// Lists of unequal length, as variable-length int32: item i of the dataset is list i.
using Lists = std::vector<std::vector<std::int32_t>>;
/// `piece` returns the lists [first, end), of which few are asked for at a time.
void write_lists(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                 const std::function<Lists(std::int64_t first, std::int64_t end)>& piece,
                 Layout layout);
Lists read_lists(const Handle& dataset, std::int64_t first, std::int64_t items);
void copy_lists(const Handle& from, const Handle& to, const ColumnSpec& spec, Layout layout);

/// Reads a dataset of any type piece by piece and throws it away; Error when a piece is damaged.
void read_through(const Handle& dataset);

/// Whether `values` holds `items` items of the column, in its type.
bool fits(const ColumnSpec& spec, std::int64_t items, const ColumnValues& values);

}  // namespace rvsweep::h5
