#include "storage/h5_column.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include "rvsweep/core/error.hpp"

namespace rvsweep::h5 {
namespace {

constexpr std::int64_t chunk_bytes = 512 * 1024;
constexpr std::int64_t largest_chunk_items = 16384;
constexpr std::int64_t items_at_once = largest_chunk_items;  // whole chunks

Handle status_type() {
  const auto name = [](const char* text, RowStatus status) {
    return std::pair(text, static_cast<std::int8_t>(status));
  };
  return enum_type({name("ok", RowStatus::ok), name("refused", RowStatus::refused),
                    name("failed", RowStatus::failed), name("pending", RowStatus::pending)});
}

/// A column's type, in the file (little-endian) as in memory.
Handle column_type(ColumnType type) {
  using enum ColumnType;
  static_assert(std::endian::native == std::endian::little);
  if (type == utf8) return text_type();
  if (type == status) return status_type();
  if (type == int32_list) return list_type(H5T_STD_I32LE);
  if (type == float32_list) return list_type(H5T_IEEE_F32LE);
  const std::map<ColumnType, hid_t> numbers{{int32, H5T_STD_I32LE},
                                            {int64, H5T_STD_I64LE},
                                            {uint64, H5T_STD_U64LE},
                                            {float32, H5T_IEEE_F32LE},
                                            {float64, H5T_IEEE_F64LE}};
  return copy_of(numbers.at(type));
}

std::vector<hsize_t> column_extents(const ColumnSpec& spec, std::int64_t items) {
  std::vector<hsize_t> extents{static_cast<hsize_t>(items)};
  extents.insert(extents.end(), spec.shape.begin(), spec.shape.end());
  return extents;
}

hsize_t element_count(const std::vector<hsize_t>& extents) {
  return std::accumulate(extents.begin(), extents.end(), hsize_t{1}, std::multiplies<>());
}

std::int64_t element_count(const ColumnValues& values) {
  return std::visit([](const auto& held) { return std::ssize(held); }, values);
}

/// Largest power of two of items that stays within chunk_bytes, at most the column itself.
hsize_t chunk_items(const Handle& type, const ColumnSpec& spec, std::int64_t items) {
  const std::int64_t item_bytes = item_size(spec) * static_cast<std::int64_t>(size_of(type));
  std::int64_t chunk = largest_chunk_items;
  while (chunk > 1 && chunk * item_bytes > chunk_bytes) chunk /= 2;
  return static_cast<hsize_t>(std::min(chunk, items));
}

/// Reads items whose stored values, `Stored`, point to what HDF5 allocates; `of` copies one.
template <class Stored, class Value, class Of>
void read_allocated(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                    std::vector<Value>& values, Of of) {
  const auto extents = column_extents(spec, std::ssize(values) / item_size(spec));
  std::vector<Stored> stored(values.size(), Stored{});
  const Handle type = column_type(spec.type);
  read_slab(dataset, type, first, extents, stored.data(), "reading dataset " + spec.name);
  std::ranges::transform(stored, values.begin(), of);
  reclaim(type, extents, stored.data());
}

/// Calls `with` for consecutive ranges [first, end) of so many items.
template <class With>
void for_pieces(std::int64_t items, With with) {
  for (std::int64_t first = 0; first < items; first += items_at_once)
    with(first, std::min(items, first + items_at_once));
}

}  // namespace

bool fits(const ColumnSpec& spec, std::int64_t items, const ColumnValues& values) {
  return values.index() == fill_values(spec, 0).index() &&
         element_count(values) == items * item_size(spec);
}

Handle create_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                     Chunking chunking) {
  const Handle type = column_type(spec.type);
  const bool chunked = chunking == Chunking::compressed && items > 0 && item_size(spec) > 0;
  Handle dataset = create_dataset(parent, spec.name, type, column_extents(spec, items),
                                  chunked ? chunk_items(type, spec, items) : 0);
  write_attribute(dataset, "units", spec.units);
  write_attribute(dataset, "description", spec.description);
  if (!spec.definition.empty()) write_attribute(dataset, "definition", spec.definition);
  return dataset;
}

void write_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                 const ColumnValues& values) {
  if (element_count(values) == 0) return;
  const std::int64_t items = element_count(values) / item_size(spec);
  RVSWEEP_EXPECT(fits(spec, items, values), "values of column " + spec.name + " fit it");
  const auto write = [&](const void* data) {
    write_slab(dataset, column_type(spec.type), first, column_extents(spec, items), data,
               "writing dataset " + spec.name);
  };
  const auto write_texts = [&](const std::vector<std::string>& texts) {
    std::vector<std::string> storable;
    for (const std::string& text : texts) storable.push_back(storable_text(text));
    std::vector<const char*> pointers;
    for (const std::string& text : storable) pointers.push_back(text.c_str());
    write(pointers.data());
  };
  const auto write_lists = [&](const auto& lists) {
    std::vector<hvl_t> entries;
    for (const auto& list : lists)
      entries.push_back({list.size(), const_cast<void*>(static_cast<const void*>(list.data()))});
    write(entries.data());
  };
  std::visit(
      [&](const auto& held) {
        using Value = typename std::decay_t<decltype(held)>::value_type;
        if constexpr (std::is_arithmetic_v<Value>)
          write(held.data());
        else if constexpr (std::is_same_v<Value, std::string>)
          write_texts(held);
        else
          write_lists(held);
      },
      values);
}

void write_column(const Handle& parent, const ColumnSpec& spec, const ColumnValues& values,
                  Chunking chunking) {
  const std::int64_t items = element_count(values) / std::max<std::int64_t>(item_size(spec), 1);
  Handle dataset = create_column(parent, spec, items, chunking);
  write_items(dataset, spec, 0, values);
  dataset.close("closing dataset " + spec.name);
}

void write_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                  const PieceOf& piece, Chunking chunking) {
  Handle dataset = create_column(parent, spec, items, chunking);
  for_pieces(items, [&](std::int64_t first, std::int64_t end) {
    write_items(dataset, spec, first, piece(first, end));
  });
  dataset.close("closing dataset " + spec.name);
}

std::int64_t count_items(const Handle& dataset, const ColumnSpec& spec) {
  const Handle stored = type_of(dataset, "reading the type of " + spec.name);
  const bool right_type =
      are_equal(stored, column_type(spec.type), "comparing the type of " + spec.name);
  const std::vector<hsize_t> extents = extents_of(dataset);
  const bool right_shape =
      !extents.empty() && extents == column_extents(spec, static_cast<std::int64_t>(extents.at(0)));
  if (!right_type || !right_shape)
    throw Error("dataset " + spec.name + " does not have the type and shape that the plan gives");
  return static_cast<std::int64_t>(extents.at(0));
}

ColumnValues read_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                        std::int64_t items) {
  const std::vector<hsize_t> extents = column_extents(spec, items);
  if (element_count(extents) == 0) return fill_values(spec, items);
  ColumnValues values = fill_values(spec, items);
  std::visit(
      [&](auto& held) {
        using Value = typename std::decay_t<decltype(held)>::value_type;
        if constexpr (std::is_arithmetic_v<Value>)
          read_slab(dataset, column_type(spec.type), first, extents, held.data(),
                    "reading dataset " + spec.name);
        else if constexpr (std::is_same_v<Value, std::string>)
          read_allocated<char*>(dataset, spec, first, held, [](const char* text) {
            return std::string(text == nullptr ? "" : text);
          });
        else
          read_allocated<hvl_t>(dataset, spec, first, held, [](const hvl_t& list) {
            const auto* begin = static_cast<const typename Value::value_type*>(list.p);
            return Value(begin, begin + list.len);
          });
      },
      values);
  return values;
}

ColumnValues read_column(const Handle& parent, const ColumnSpec& spec) {
  const Handle dataset = open_dataset(parent, spec.name);
  return read_items(dataset, spec, 0, count_items(dataset, spec));
}

void read_texts(const Handle& parent, const ColumnSpec& spec,
                const std::function<void(const std::string&)>& take) {
  const Handle dataset = open_dataset(parent, spec.name);
  for_pieces(count_items(dataset, spec), [&](std::int64_t first, std::int64_t end) {
    const ColumnValues values = read_items(dataset, spec, first, end - first);
    for (const std::string& text : std::get<std::vector<std::string>>(values)) take(text);
  });
}

void copy_column(const Handle& from, const Handle& to, const ColumnSpec& spec, Chunking chunking) {
  const Handle dataset = open_dataset(from, spec.name);
  const auto piece = [&](std::int64_t first, std::int64_t end) {
    return read_items(dataset, spec, first, end - first);
  };
  write_column(to, spec, count_items(dataset, spec), piece, chunking);
}

void read_through(const Handle& dataset) {
  std::vector<hsize_t> extents = extents_of(dataset);
  if (element_count(extents) == 0) return;
  const Handle type = type_of(dataset, "reading a dataset's type");
  const bool allocates = has_variable_length(type);
  const hsize_t items = extents.empty() ? 1 : extents.at(0);
  const hsize_t item_bytes = element_count(extents) / items * size_of(type);
  // What texts and lists take beside their pointers is not known before they are read.
  const hsize_t most = allocates ? items_at_once : items;
  const hsize_t step = std::clamp<hsize_t>(16 * 1024 * 1024 / item_bytes, 1, most);
  std::vector<char> buffer(static_cast<std::size_t>(step * item_bytes));
  for (hsize_t first = 0; first < items; first += step) {
    if (!extents.empty()) extents[0] = std::min(step, items - first);
    if (allocates) std::fill(buffer.begin(), buffer.end(), '\0');
    read_slab(dataset, type, first, extents, buffer.data(), "reading");
    if (allocates) reclaim(type, extents, buffer.data());
  }
}

}  // namespace rvsweep::h5
