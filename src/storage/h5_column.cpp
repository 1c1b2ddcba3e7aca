#include "storage/h5_column.hpp"

#include <algorithm>
#include <numeric>

#include "rvsweep/core/error.hpp"
#include "storage/h5_text.hpp"

namespace rvsweep::h5 {
namespace {

constexpr std::int64_t chunk_bytes = 512 * 1024;
constexpr std::int64_t largest_chunk_items = 16384;
constexpr std::int64_t items_at_once = largest_chunk_items;  // whole chunks

Handle copy_of(hid_t predefined) { return {H5Tcopy(predefined), H5Tclose, "copying a type"}; }

Handle status_type() {
  Handle type(H5Tenum_create(H5T_STD_I8LE), H5Tclose, "making the status type");
  const auto insert = [&](const char* name, RowStatus status) {
    const auto value = static_cast<std::int8_t>(status);
    check(H5Tenum_insert(type.id(), name, &value), "making the status type");
  };
  insert("ok", RowStatus::ok);
  insert("refused", RowStatus::refused);
  insert("failed", RowStatus::failed);
  insert("pending", RowStatus::pending);
  return type;
}

Handle file_type(ColumnType type) {
  switch (type) {
    case ColumnType::int32:
      return copy_of(H5T_STD_I32LE);
    case ColumnType::int64:
      return copy_of(H5T_STD_I64LE);
    case ColumnType::uint64:
      return copy_of(H5T_STD_U64LE);
    case ColumnType::float32:
      return copy_of(H5T_IEEE_F32LE);
    case ColumnType::float64:
      return copy_of(H5T_IEEE_F64LE);
    case ColumnType::utf8:
      return text_type();
    case ColumnType::status:
      return status_type();
  }
  broken_contract("type", __FILE__, __LINE__, "unknown column type");
}

Handle memory_type(ColumnType type) {
  switch (type) {
    case ColumnType::int32:
      return copy_of(H5T_NATIVE_INT32);
    case ColumnType::int64:
      return copy_of(H5T_NATIVE_INT64);
    case ColumnType::uint64:
      return copy_of(H5T_NATIVE_UINT64);
    case ColumnType::float32:
      return copy_of(H5T_NATIVE_FLOAT);
    case ColumnType::float64:
      return copy_of(H5T_NATIVE_DOUBLE);
    case ColumnType::utf8:
    case ColumnType::status:
      return file_type(type);
  }
  broken_contract("type", __FILE__, __LINE__, "unknown column type");
}

std::vector<hsize_t> column_extents(const ColumnSpec& spec, std::int64_t items) {
  std::vector<hsize_t> extents{static_cast<hsize_t>(items)};
  extents.insert(extents.end(), spec.shape.begin(), spec.shape.end());
  return extents;
}

hsize_t element_count(const std::vector<hsize_t>& extents) {
  return std::accumulate(extents.begin(), extents.end(), hsize_t{1}, std::multiplies<>());
}

/// Largest power of two of items that stays within chunk_bytes, at most the column itself.
hsize_t chunk_items(const Handle& type, const ColumnSpec& spec, std::int64_t items) {
  const std::int64_t item_bytes =
      item_size(spec) * static_cast<std::int64_t>(H5Tget_size(type.id()));
  std::int64_t chunk = largest_chunk_items;
  while (chunk > 1 && chunk * item_bytes > chunk_bytes) chunk /= 2;
  return static_cast<hsize_t>(std::min(chunk, items));
}

Handle create_typed(const Handle& parent, const ColumnSpec& spec, std::int64_t items, Layout layout,
                    const Handle& type) {
  const bool chunked = layout == Layout::compressed && items > 0 && item_size(spec) > 0;
  Handle dataset = create_dataset(parent, spec.name, type.id(), column_extents(spec, items),
                                  chunked ? chunk_items(type, spec, items) : 0);
  write_attribute(dataset, "units", spec.units);
  write_attribute(dataset, "description", spec.description);
  if (!spec.definition.empty()) write_attribute(dataset, "definition", spec.definition);
  return dataset;
}

/// Gives back what HDF5 allocated for text or lists that it read.
class Reclaim {
 public:
  Reclaim(const Handle& type, const Handle& space, void* buffer)
      : type_(type), space_(space), buffer_(buffer) {}
  ~Reclaim() { H5Dvlen_reclaim(type_.id(), space_.id(), H5P_DEFAULT, buffer_); }
  Reclaim(const Reclaim&) = delete;
  Reclaim& operator=(const Reclaim&) = delete;

 private:
  const Handle& type_;
  const Handle& space_;
  void* buffer_;
};

std::vector<std::string> read_text_items(const Handle& dataset, const ColumnSpec& spec,
                                         const Handle& memory, const Handle& source,
                                         std::size_t count) {
  std::vector<char*> pointers(count, nullptr);
  const Handle type = text_type();
  const Reclaim reclaim(type, memory, pointers.data());
  check(H5Dread(dataset.id(), type.id(), memory.id(), source.id(), H5P_DEFAULT, pointers.data()),
        "reading dataset " + spec.name);
  std::vector<std::string> texts;
  texts.reserve(count);
  for (const char* pointer : pointers) texts.emplace_back(pointer == nullptr ? "" : pointer);
  return texts;
}

/// Calls `with` for every piece [first, end) of so many items.
template <class With>
void for_pieces(std::int64_t items, With with) {
  for (std::int64_t first = 0; first < items; first += items_at_once)
    with(first, std::min(items, first + items_at_once));
}

Handle list_type(hid_t element) {
  return {H5Tvlen_create(element), H5Tclose, "making the type of lists"};
}
}  // namespace

bool fits(const ColumnSpec& spec, std::int64_t items, const ColumnValues& values) {
  const auto count = static_cast<std::size_t>(items * item_size(spec));
  return values.index() == fill_values(spec, 0).index() &&
         std::visit([&](const auto& held) { return held.size() == count; }, values);
}

Handle create_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                     Layout layout) {
  return create_typed(parent, spec, items, layout, file_type(spec.type));
}

void write_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                 const ColumnValues& values) {
  const std::int64_t size = item_size(spec);
  const auto count = std::visit([](const auto& held) { return held.size(); }, values);
  if (count == 0) return;
  const auto items = static_cast<std::int64_t>(count) / size;
  RVSWEEP_EXPECT(fits(spec, items, values), "values of column " + spec.name + " do not fit it");
  const std::vector<hsize_t> extents = column_extents(spec, items);
  const Handle memory = simple_space(extents);
  const Handle target = select_items(dataset, static_cast<hsize_t>(first), extents);
  const Handle type = memory_type(spec.type);
  const auto write = [&](const void* data) {
    check(H5Dwrite(dataset.id(), type.id(), memory.id(), target.id(), H5P_DEFAULT, data),
          "writing dataset " + spec.name);
  };
  if (const auto* texts = std::get_if<std::vector<std::string>>(&values)) {
    std::vector<std::string> storable;
    storable.reserve(texts->size());
    for (const std::string& text : *texts) storable.push_back(storable_text(text));
    std::vector<const char*> pointers;
    pointers.reserve(storable.size());
    for (const std::string& text : storable) pointers.push_back(text.c_str());
    write(pointers.data());
  } else {
    std::visit([&](const auto& held) { write(held.data()); }, values);
  }
}

void write_column(const Handle& parent, const ColumnSpec& spec, const ColumnValues& values,
                  Layout layout) {
  const std::int64_t size = std::max<std::int64_t>(item_size(spec), 1);
  const auto count = std::visit([](const auto& held) { return held.size(); }, values);
  Handle dataset = create_column(parent, spec, static_cast<std::int64_t>(count) / size, layout);
  write_items(dataset, spec, 0, values);
  dataset.close("closing dataset " + spec.name);
}

void write_column(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                  const PieceOf& piece, Layout layout) {
  Handle dataset = create_column(parent, spec, items, layout);
  for_pieces(items, [&](std::int64_t first, std::int64_t end) {
    write_items(dataset, spec, first, piece(first, end));
  });
  dataset.close("closing dataset " + spec.name);
}

std::int64_t count_items(const Handle& dataset, const ColumnSpec& spec) {
  const Handle stored(H5Dget_type(dataset.id()), H5Tclose, "reading the type of " + spec.name);
  const htri_t same = H5Tequal(stored.id(), file_type(spec.type).id());
  check(same, "comparing the type of " + spec.name);
  const std::vector<hsize_t> extents = extents_of(dataset);
  const bool right_shape =
      !extents.empty() && extents == column_extents(spec, static_cast<std::int64_t>(extents.at(0)));
  if (same == 0 || !right_shape) {
    throw Error("dataset " + spec.name + " does not have the type and shape that the plan gives");
  }
  return static_cast<std::int64_t>(extents.at(0));
}

ColumnValues read_items(const Handle& dataset, const ColumnSpec& spec, std::int64_t first,
                        std::int64_t items) {
  ColumnValues values = fill_values(spec, items);
  const std::vector<hsize_t> extents = column_extents(spec, items);
  if (element_count(extents) == 0) return values;
  const Handle memory = simple_space(extents);
  const Handle source = select_items(dataset, static_cast<hsize_t>(first), extents);
  if (auto* texts = std::get_if<std::vector<std::string>>(&values)) {
    *texts = read_text_items(dataset, spec, memory, source, texts->size());
    return values;
  }
  const Handle type = memory_type(spec.type);
  std::visit(
      [&](auto& held) {
        check(H5Dread(dataset.id(), type.id(), memory.id(), source.id(), H5P_DEFAULT, held.data()),
              "reading dataset " + spec.name);
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

void copy_column(const Handle& from, const Handle& to, const ColumnSpec& spec, Layout layout) {
  const Handle dataset = open_dataset(from, spec.name);
  const auto piece = [&](std::int64_t first, std::int64_t end) {
    return read_items(dataset, spec, first, end - first);
  };
  write_column(to, spec, count_items(dataset, spec), piece, layout);
}

void write_lists(const Handle& parent, const ColumnSpec& spec, std::int64_t items,
                 const std::function<Lists(std::int64_t first, std::int64_t end)>& piece,
                 Layout layout) {
  Handle dataset = create_typed(parent, spec, items, layout, list_type(H5T_STD_I32LE));
  const Handle type = list_type(H5T_NATIVE_INT32);
  for_pieces(items, [&](std::int64_t first, std::int64_t end) {
    Lists lists = piece(first, end);
    std::vector<hvl_t> entries;
    entries.reserve(lists.size());
    for (auto& list : lists) entries.push_back({list.size(), list.data()});
    const std::vector<hsize_t> extents{entries.size()};
    const Handle memory = simple_space(extents);
    const Handle target = select_items(dataset, static_cast<hsize_t>(first), extents);
    check(H5Dwrite(dataset.id(), type.id(), memory.id(), target.id(), H5P_DEFAULT, entries.data()),
          "writing dataset " + spec.name);
  });
  dataset.close("closing dataset " + spec.name);
}

Lists read_lists(const Handle& dataset, std::int64_t first, std::int64_t items) {
  Lists lists(static_cast<std::size_t>(items));
  if (items == 0) return lists;
  std::vector<hvl_t> entries(lists.size(), hvl_t{0, nullptr});
  const Handle type = list_type(H5T_NATIVE_INT32);
  const Handle memory = simple_space({entries.size()});
  const Handle source = select_items(dataset, static_cast<hsize_t>(first), {entries.size()});
  const Reclaim reclaim(type, memory, entries.data());
  check(H5Dread(dataset.id(), type.id(), memory.id(), source.id(), H5P_DEFAULT, entries.data()),
        "reading lists");
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const auto* begin = static_cast<const std::int32_t*>(entries[i].p);
    lists[i].assign(begin, begin + entries[i].len);
  }
  return lists;
}

void copy_lists(const Handle& from, const Handle& to, const ColumnSpec& spec, Layout layout) {
  const Handle dataset = open_dataset(from, spec.name);
  const auto piece = [&](std::int64_t first, std::int64_t end) {
    return read_lists(dataset, first, end - first);
  };
  write_lists(to, spec, static_cast<std::int64_t>(extents_of(dataset).at(0)), piece, layout);
}

void read_through(const Handle& dataset) {
  std::vector<hsize_t> extents = extents_of(dataset);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "reading a dataset's type");
  const bool allocates =
      H5Tdetect_class(type.id(), H5T_VLEN) > 0 || H5Tis_variable_str(type.id()) > 0;
  const std::size_t element_bytes = H5Tget_size(type.id());
  if (element_count(extents) == 0) return;
  const hsize_t items = extents.empty() ? 1 : extents.at(0);
  const hsize_t item_bytes = element_count(extents) / items * element_bytes;
  // What texts and lists take beside their pointers is not known before they are read.
  const hsize_t most = allocates ? items_at_once : items;
  const hsize_t step = std::clamp<hsize_t>(16 * 1024 * 1024 / item_bytes, 1, most);
  std::vector<char> buffer(static_cast<std::size_t>(step * item_bytes));
  for (hsize_t first = 0; first < items; first += step) {
    if (!extents.empty()) extents[0] = std::min(step, items - first);
    const Handle memory = simple_space(extents);
    const Handle source =
        extents.empty() ? simple_space({}) : select_items(dataset, first, extents);
    if (allocates) std::fill(buffer.begin(), buffer.end(), '\0');
    const herr_t read =
        H5Dread(dataset.id(), type.id(), memory.id(), source.id(), H5P_DEFAULT, buffer.data());
    check(read, "reading");
    if (allocates)
      check(H5Dvlen_reclaim(type.id(), memory.id(), H5P_DEFAULT, buffer.data()),
            "giving back what was read");
  }
}

}  // namespace rvsweep::h5
