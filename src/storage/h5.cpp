#include "storage/h5.hpp"

#include <hdf5_hl.h>

#include <cstdlib>
#include <exception>

#include "rvsweep/core/utf8.hpp"

namespace rvsweep::h5 {
namespace {

/// The operating system's reason where HDF5 quotes one, else HDF5's own words.
std::string innermost_message() {
  std::string message;
  const auto keep_first = [](unsigned n, const H5E_error2_t* error, void* into) -> herr_t {
    if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(into) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
  H5Eclear2(H5E_DEFAULT);
  static const std::string mark = "error message = '";
  if (const auto begin = message.find(mark); begin != std::string::npos) {
    const auto end = message.find('\'', begin + mark.size());
    if (end != std::string::npos)
      message = message.substr(begin + mark.size(), end - begin - mark.size());
  }
  return message.empty() ? "HDF5 gives no reason" : "HDF5: " + message;
}

/// Throws Error("<doing> failed (<HDF5's innermost message>)") when `result` is negative.
void check(std::int64_t result, const std::string& doing) {
  if (result < 0) throw Error(doing + " failed (" + innermost_message() + ")");
}

/// Called before the first use of the library; silences its automatic printing to stderr.
void prepare_library() {
  static const bool once = [] {
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    H5dont_atexit();  // a file that failed to close is leaked on purpose
    return true;
  }();
  (void)once;
  check(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "preparing HDF5");
}

/// Writes what HDF5 has buffered of a file or dataset; nothing for other identifiers.
herr_t flush(hid_t id) {
  const H5I_type_t type = H5Iget_type(id);
  if (type == H5I_DATASET) return H5Dflush(id);
  return type == H5I_FILE ? H5Fflush(id, H5F_SCOPE_GLOBAL) : 0;
}

Handle property_list(hid_t kind) { return {H5Pcreate(kind), H5Pclose, "making a property list"}; }

Handle file_access() {
  Handle access = property_list(H5P_FILE_ACCESS);
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_V18),
        "choosing the file format");
  check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG), "choosing how files close");
  return access;
}

/// For files, groups or datasets without time stamps.
Handle object_creation(hid_t kind) {
  Handle creation = property_list(kind);
  check(H5Pset_obj_track_times(creation.id(), false), "switching time stamps off");
  return creation;
}

bool link_exists(const Handle& parent, const std::string& path, const std::string& doing) {
  const htri_t exists = H5Lexists(parent.id(), path.c_str(), H5P_DEFAULT);
  check(exists, doing);
  return exists > 0;
}

void ensure_parents(const Handle& parent, const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) ensure_group(parent, path.substr(0, slash));
}

Handle simple_space(const std::vector<hsize_t>& extents, const std::string& doing) {
  if (extents.empty()) return {H5Screate(H5S_SCALAR), H5Sclose, doing};
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose,
          doing};
}

Handle space_of(const Handle& dataset, const std::string& doing) {
  return {H5Dget_space(dataset.id()), H5Sclose, doing};
}

/// Items in memory and where they lie in the dataset.
struct Slab {
  Slab(const Handle& dataset, hsize_t first, const std::vector<hsize_t>& extents)
      : memory(simple_space(extents, "making a data space")),
        file(space_of(dataset, "selecting items")) {
    if (extents.empty()) return;
    std::vector<hsize_t> start(extents.size(), 0);
    start.at(0) = first;
    check(H5Sselect_hyperslab(file.id(), H5S_SELECT_SET, start.data(), nullptr, extents.data(),
                              nullptr),
          "selecting items");
  }
  Handle memory, file;
};

template <class Value>
void write_scalar(const Handle& object, const std::string& name, hid_t type, const Value* value) {
  const std::string doing = "writing attribute " + name;
  const Handle space = simple_space({}, doing);
  Handle attribute(
      H5Acreate2(object.id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
      doing);
  check(H5Awrite(attribute.id(), type, value), doing);
  attribute.close(doing);
}

Handle open_attribute(const Handle& object, const std::string& name) {
  Handle attribute(H5Aopen(object.id(), name.c_str(), H5P_DEFAULT), H5Aclose,
                   "opening attribute " + name);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "reading the extent of " + name);
  if (H5Sget_simple_extent_npoints(space.id()) != 1)
    throw Error("attribute " + name + " does not hold one value");
  return attribute;
}

template <class Value>
Value read_scalar(const Handle& object, const std::string& name, hid_t type) {
  const Handle attribute = open_attribute(object, name);
  Value value{};
  check(H5Aread(attribute.id(), type, &value), "reading attribute " + name);
  return value;
}

}  // namespace

Handle::Handle(hid_t id, Closer closer, const std::string& doing) : id_(id), closer_(closer) {
  check(id, doing);
}

Handle::~Handle() {
  // On the way out of an error the disk may be full. HDF5 frees what it cannot write but keeps the
  // identifier, and crashes on it later: such a file or dataset is never closed.
  const bool stuck = id_ >= 0 && std::uncaught_exceptions() > 0 && flush(id_) < 0;
  if (id_ >= 0 && (stuck || closer_(id_) < 0)) H5Eclear2(H5E_DEFAULT);
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}

void Handle::close(const std::string& doing) {
  check(flush(id_), doing);
  check(closer_(std::exchange(id_, H5I_INVALID_HID)), doing);
}

Handle create_file(const std::filesystem::path& file) {
  prepare_library();
  const Handle access = file_access();
  const Handle creation = object_creation(H5P_FILE_CREATE);
  check(H5Pset_userblock(creation.id(), user_block_bytes), "reserving the first line");
  return {H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose,
          "creating the file"};
}

Handle open_file(const std::filesystem::path& file) {
  prepare_library();
  const Handle access = file_access();
  return {H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, "opening the file"};
}

Handle ensure_group(const Handle& parent, const std::string& path) {
  ensure_parents(parent, path);  // by us: HDF5 itself would give them time stamps
  if (link_exists(parent, path, "looking for group " + path)) return open_group(parent, path);
  const Handle creation = object_creation(H5P_GROUP_CREATE);
  return {H5Gcreate2(parent.id(), path.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Gclose,
          "creating group " + path};
}

Handle open_group(const Handle& parent, const std::string& path) {
  return {H5Gopen2(parent.id(), path.c_str(), H5P_DEFAULT), H5Gclose, "opening group " + path};
}

std::vector<std::string> object_paths(const Handle& file) {
  std::vector<std::string> paths;
  const auto keep = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->push_back(name);
    return 0;
  };
  check(H5Lvisit(file.id(), H5_INDEX_NAME, H5_ITER_INC, keep, &paths), "listing the file");
  return paths;
}

bool is_dataset(const Handle& file, const std::string& path) {
  const Handle object(H5Oopen(file.id(), path.c_str(), H5P_DEFAULT), H5Oclose, "opening " + path);
  return H5Iget_type(object.id()) == H5I_DATASET;
}

Handle copy_of(hid_t predefined) { return {H5Tcopy(predefined), H5Tclose, "copying a type"}; }

Handle text_type() {
  Handle type = copy_of(H5T_C_S1);
  check(H5Tset_size(type.id(), H5T_VARIABLE), "making the text type");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "making the text type");
  return type;
}

Handle list_type(hid_t element) {
  return {H5Tvlen_create(element), H5Tclose, "making the type of lists"};
}

Handle enum_type(const std::vector<std::pair<const char*, std::int8_t>>& names) {
  Handle type(H5Tenum_create(H5T_STD_I8LE), H5Tclose, "making an enumeration type");
  for (const auto& [name, value] : names)
    check(H5Tenum_insert(type.id(), name, &value), "making an enumeration type");
  return type;
}

Handle type_of(const Handle& dataset, const std::string& doing) {
  return {H5Dget_type(dataset.id()), H5Tclose, doing};
}

bool are_equal(const Handle& type, const Handle& other, const std::string& doing) {
  const htri_t equal = H5Tequal(type.id(), other.id());
  check(equal, doing);
  return equal > 0;
}

std::size_t size_of(const Handle& type) { return H5Tget_size(type.id()); }

bool has_variable_length(const Handle& type) {
  return H5Tis_variable_str(type.id()) > 0 || H5Tdetect_class(type.id(), H5T_VLEN) > 0;
}

Handle open_dataset(const Handle& parent, const std::string& path) {
  return {H5Dopen2(parent.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "opening dataset " + path};
}

bool has_dataset(const Handle& parent, const std::string& path) {
  const auto exists = [&](const std::string& part) {
    return link_exists(parent, part, "looking for dataset " + path);
  };
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (!exists(path.substr(0, slash))) return false;
  return exists(path);
}

Handle create_dataset(const Handle& parent, const std::string& path, const Handle& type,
                      const std::vector<hsize_t>& extents, hsize_t chunk_items) {
  const std::string doing = "creating dataset " + path;
  ensure_parents(parent, path);
  const Handle creation = object_creation(H5P_DATASET_CREATE);
  if (chunk_items > 0) {
    std::vector<hsize_t> chunk = extents;
    chunk.at(0) = chunk_items;
    check(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), doing);
    check(H5Pset_shuffle(creation.id()), doing);
    check(H5Pset_deflate(creation.id(), 4), doing);
    if (!has_variable_length(type)) check(H5Pset_fletcher32(creation.id()), doing);
  }
  const Handle space = simple_space(extents, "making a data space");
  return {H5Dcreate2(parent.id(), path.c_str(), type.id(), space.id(), H5P_DEFAULT, creation.id(),
                     H5P_DEFAULT),
          H5Dclose, doing};
}

std::vector<hsize_t> extents_of(const Handle& dataset) {
  const std::string doing = "reading a dataset's extent";
  const Handle space = space_of(dataset, doing);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  check(rank, doing);
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  check(H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr), doing);
  return extents;
}

void read_slab(const Handle& dataset, const Handle& type, hsize_t first,
               const std::vector<hsize_t>& extents, void* into, const std::string& doing) {
  const Slab slab(dataset, first, extents);
  check(H5Dread(dataset.id(), type.id(), slab.memory.id(), slab.file.id(), H5P_DEFAULT, into),
        doing);
}

void write_slab(const Handle& dataset, const Handle& type, hsize_t first,
                const std::vector<hsize_t>& extents, const void* values, const std::string& doing) {
  const Slab slab(dataset, first, extents);
  check(H5Dwrite(dataset.id(), type.id(), slab.memory.id(), slab.file.id(), H5P_DEFAULT, values),
        doing);
}

void reclaim(const Handle& type, const std::vector<hsize_t>& extents, void* values) {
  const std::string doing = "giving back what was read";
  const Handle memory = simple_space(extents, doing);
  check(H5Dvlen_reclaim(type.id(), memory.id(), H5P_DEFAULT, values), doing);
}

void make_scale(const Handle& dataset, const std::string& name) {
  const std::string doing = "naming an axis " + name;
  const htri_t is_scale = H5DSis_scale(dataset.id());
  check(is_scale, doing);
  if (is_scale == 0) check(H5DSset_scale(dataset.id(), name.c_str()), doing);
}

void attach_scale(const Handle& dataset, const Handle& scale, unsigned axis) {
  check(H5DSattach_scale(dataset.id(), scale.id(), axis), "naming an axis of a dataset");
}

std::string storable_text(std::string_view text) {
  std::string storable;
  storable.reserve(text.size());
  while (!text.empty()) {
    const utf8::Step step = utf8::first(text);
    const std::size_t size = step.well_formed ? step.size : 1;
    if (text[0] == '\0')
      storable += "\xE2\x90\x80";
    else
      storable += step.well_formed ? text.substr(0, size) : "\xEF\xBF\xBD";
    text.remove_prefix(size);
  }
  return storable;
}

void write_attribute(const Handle& object, const std::string& name, const std::string& text) {
  const std::string storable = storable_text(text);
  const char* characters = storable.c_str();
  const Handle type = text_type();
  write_scalar(object, name, type.id(), &characters);
}

void write_attribute(const Handle& object, const std::string& name, std::int64_t value) {
  write_scalar(object, name, H5T_STD_I64LE, &value);
}

void write_attribute(const Handle& object, const std::string& name, std::uint64_t value) {
  write_scalar(object, name, H5T_STD_U64LE, &value);
}

void write_attribute(const Handle& object, const std::string& name, double value) {
  write_scalar(object, name, H5T_IEEE_F64LE, &value);
}

std::string read_text_attribute(const Handle& object, const std::string& name) {
  const Handle type = text_type();
  char* characters = read_scalar<char*>(object, name, type.id());
  if (characters == nullptr) return {};
  std::string text = characters;
  H5free_memory(characters);
  return text;
}

std::int64_t read_int_attribute(const Handle& object, const std::string& name) {
  return read_scalar<std::int64_t>(object, name, H5T_STD_I64LE);
}

std::uint64_t read_uint_attribute(const Handle& object, const std::string& name) {
  return read_scalar<std::uint64_t>(object, name, H5T_STD_U64LE);
}

double read_double_attribute(const Handle& object, const std::string& name) {
  return read_scalar<double>(object, name, H5T_IEEE_F64LE);
}

}  // namespace rvsweep::h5
