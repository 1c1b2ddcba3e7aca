#include "storage/h5.hpp"

#include <cstdlib>
#include <exception>
#include <utility>

#include "storage/h5_text.hpp"

namespace rvsweep::h5 {
namespace {

/// The operating system's reason where HDF5 wraps one, else its own words.
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
    if (end != std::string::npos) {
      message = message.substr(begin + mark.size(), end - begin - mark.size());
    }
  }
  return message.empty() ? "HDF5 gives no reason" : "HDF5: " + message;
}

/// Called before the first use of the library; silences its automatic printing to stderr.
void prepare_library() {
  static const bool once = [] {
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    H5dont_atexit();  // files are closed when they are done; what ~Handle left open stays so
    return true;
  }();
  (void)once;
  check(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "preparing HDF5");
}

/// Writes out what HDF5 still holds back of a file or dataset; nothing for other identifiers.
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

/// Objects without time stamps, of any class that can be created.
Handle object_creation(hid_t kind) {
  Handle creation = property_list(kind);
  check(H5Pset_obj_track_times(creation.id(), false), "switching time stamps off");
  return creation;
}

template <class Value>
void write_scalar(const Handle& object, const std::string& name, hid_t file_type, hid_t memory_type,
                  const Value* value) {
  const std::string doing = "writing attribute " + name;
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, doing);
  Handle attribute(
      H5Acreate2(object.id(), name.c_str(), file_type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose, doing);
  check(H5Awrite(attribute.id(), memory_type, value), doing);
  attribute.close(doing);
}

Handle open_attribute(const Handle& object, const std::string& name) {
  Handle attribute(H5Aopen(object.id(), name.c_str(), H5P_DEFAULT), H5Aclose,
                   "opening attribute " + name);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "reading the extent of " + name);
  if (H5Sget_simple_extent_npoints(space.id()) != 1) {
    throw Error("attribute " + name + " does not hold one value");
  }
  return attribute;
}

template <class Value>
Value read_scalar(const Handle& object, const std::string& name, hid_t memory_type) {
  const Handle attribute = open_attribute(object, name);
  Value value{};
  check(H5Aread(attribute.id(), memory_type, &value), "reading attribute " + name);
  return value;
}
}  // namespace

void check(std::int64_t result, const std::string& doing) {
  if (result < 0) throw Error(doing + " failed (" + innermost_message() + ")");
}

Handle::Handle(hid_t id, Closer closer, const std::string& doing) : id_(id), closer_(closer) {
  check(id, doing);
}

Handle::~Handle() {
  // On the way out of an error the disk may be full. HDF5 frees what it cannot write out but keeps
  // the identifier, and crashes on it later: such a file or dataset is left open for good.
  const bool stuck = id_ >= 0 && std::uncaught_exceptions() > 0 && flush(id_) < 0;
  if (id_ >= 0 && (stuck || closer_(id_) < 0)) H5Eclear2(H5E_DEFAULT);
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(closer_, other.closer_);
  return *this;
}

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
  // Parents one by one: HDF5 itself would give intermediate groups time stamps.
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) ensure_group(parent, path.substr(0, slash));
  const htri_t exists = H5Lexists(parent.id(), path.c_str(), H5P_DEFAULT);
  check(exists, "looking for group " + path);
  if (exists > 0) return open_group(parent, path);
  const Handle creation = object_creation(H5P_GROUP_CREATE);
  return {H5Gcreate2(parent.id(), path.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Gclose,
          "creating group " + path};
}

Handle open_group(const Handle& parent, const std::string& path) {
  return {H5Gopen2(parent.id(), path.c_str(), H5P_DEFAULT), H5Gclose, "opening group " + path};
}

bool has_dataset(const Handle& parent, const std::string& path) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (H5Lexists(parent.id(), path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(parent.id(), path.c_str(), H5P_DEFAULT) > 0;
}

Handle open_dataset(const Handle& parent, const std::string& path) {
  return {H5Dopen2(parent.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "opening dataset " + path};
}

Handle create_dataset(const Handle& parent, const std::string& path, hid_t type,
                      const std::vector<hsize_t>& extents, hsize_t chunk_items) {
  const std::string doing = "creating dataset " + path;
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) ensure_group(parent, path.substr(0, slash));
  const Handle creation = object_creation(H5P_DATASET_CREATE);
  if (chunk_items > 0) {
    std::vector<hsize_t> chunk = extents;
    chunk.at(0) = chunk_items;
    check(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), doing);
    check(H5Pset_shuffle(creation.id()), doing);
    check(H5Pset_deflate(creation.id(), 4), doing);
    const bool by_reference = H5Tis_variable_str(type) > 0 || H5Tdetect_class(type, H5T_VLEN) > 0;
    if (!by_reference) check(H5Pset_fletcher32(creation.id()), doing);
  }
  const Handle space = simple_space(extents);
  return {H5Dcreate2(parent.id(), path.c_str(), type, space.id(), H5P_DEFAULT, creation.id(),
                     H5P_DEFAULT),
          H5Dclose, doing};
}

std::vector<hsize_t> extents_of(const Handle& dataset) {
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "reading a dataset's extent");
  const int rank = H5Sget_simple_extent_ndims(space.id());
  check(rank, "reading a dataset's extent");
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  check(H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr),
        "reading a dataset's extent");
  return extents;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "making the text type");
  check(H5Tset_size(type.id(), H5T_VARIABLE), "making the text type");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "making the text type");
  return type;
}

Handle simple_space(const std::vector<hsize_t>& extents) {
  if (extents.empty()) return {H5Screate(H5S_SCALAR), H5Sclose, "making a data space"};
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose,
          "making a data space"};
}

Handle select_items(const Handle& dataset, hsize_t first, const std::vector<hsize_t>& extents) {
  Handle space(H5Dget_space(dataset.id()), H5Sclose, "selecting items");
  std::vector<hsize_t> start(extents.size(), 0);
  start.at(0) = first;
  check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, extents.data(),
                            nullptr),
        "selecting items");
  return space;
}

void write_attribute(const Handle& object, const std::string& name, const std::string& text) {
  const std::string storable = storable_text(text);
  const char* characters = storable.c_str();
  const Handle type = text_type();
  write_scalar(object, name, type.id(), type.id(), &characters);
}

void write_attribute(const Handle& object, const std::string& name, std::int64_t value) {
  write_scalar(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void write_attribute(const Handle& object, const std::string& name, std::uint64_t value) {
  write_scalar(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

void write_attribute(const Handle& object, const std::string& name, double value) {
  write_scalar(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
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
  return read_scalar<std::int64_t>(object, name, H5T_NATIVE_INT64);
}

std::uint64_t read_uint_attribute(const Handle& object, const std::string& name) {
  return read_scalar<std::uint64_t>(object, name, H5T_NATIVE_UINT64);
}

double read_double_attribute(const Handle& object, const std::string& name) {
  return read_scalar<double>(object, name, H5T_NATIVE_DOUBLE);
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

}  // namespace rvsweep::h5
