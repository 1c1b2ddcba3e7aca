#pragma once
// Thin RAII over the HDF5 C API, each call wrapped once. Every return code is checked; what the
// library has to say becomes the message of h5::Error, which the functions of this module turn into
// InputError (reading) or OutputError (writing) with the file's name. One thread at a time.
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rvsweep::h5 {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Owns one HDF5 identifier. The destructor closes without a check, for readers and for the way out
/// of an error; files and datasets that were written to are closed by close().
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  /// Takes over `id`, the result of the call that `doing` describes; throws Error when negative.
  Handle(hid_t id, Closer closer, const std::string& doing);
  ~Handle();
  Handle(Handle&& other) noexcept;

  hid_t id() const { return id_; }
  /// Flushes and closes; Error when either fails.
  void close(const std::string& doing);

 private:
  hid_t id_;
  Closer closer_;
};

/// Bytes in front of the HDF5 part of a file, for the line that holds its checksum.
inline constexpr std::size_t user_block_bytes = 512;

/// Creates (over an existing file) or opens. The format is pinned to that of HDF5 1.8 and no times
/// are stored, so equal content gives equal bytes. Closing the file closes what is open in it.
/// HDF5's own file locking is off unless HDF5_USE_FILE_LOCKING says otherwise: many cluster file
/// systems lack it, and the sweep folder has a lock of its own.
Handle create_file(const std::filesystem::path& file);
Handle open_file(const std::filesystem::path& file);

/// The group `path` ("a/b") below `parent`, with its parents, created where missing.
Handle ensure_group(const Handle& parent, const std::string& path);
Handle open_group(const Handle& parent, const std::string& path);
/// Paths of all groups and datasets below the root, sorted: "rows", "rows/status".
std::vector<std::string> object_paths(const Handle& file);
bool is_dataset(const Handle& file, const std::string& path);

/// Types: a predefined one, variable-length UTF-8 (h5py's str), lists of unequal length, int8 with
/// names for its values.
Handle copy_of(hid_t predefined);
Handle text_type();
Handle list_type(hid_t element);
Handle enum_type(const std::vector<std::pair<const char*, std::int8_t>>& names);
Handle type_of(const Handle& dataset, const std::string& doing);
bool are_equal(const Handle& type, const Handle& other, const std::string& doing);
/// Bytes of a value; of texts and lists, of what points to them.
std::size_t size_of(const Handle& type);
/// Texts and lists: a read allocates them, reclaim() frees them.
bool has_variable_length(const Handle& type);

/// Chunks of `chunk_items` first-axis items, shuffled, deflated (gzip 4) and checksummed
/// (Fletcher-32, which HDF5 does not offer for texts and lists of variable length); 0 = contiguous
/// and unfiltered.
Handle create_dataset(const Handle& parent, const std::string& path, const Handle& type,
                      const std::vector<hsize_t>& extents, hsize_t chunk_items);
Handle open_dataset(const Handle& parent, const std::string& path);
/// Whether `path` ("a/b") is there, with its parents.
bool has_dataset(const Handle& parent, const std::string& path);
/// Extents of a dataset's space; empty for a scalar.
std::vector<hsize_t> extents_of(const Handle& dataset);

/// Reads or writes extents[0] items from `first` on (a scalar: extents is empty), row-major in
/// memory, as values of `type`. Error("<doing> failed (...)").
void read_slab(const Handle& dataset, const Handle& type, hsize_t first,
               const std::vector<hsize_t>& extents, void* into, const std::string& doing);
void write_slab(const Handle& dataset, const Handle& type, hsize_t first,
                const std::vector<hsize_t>& extents, const void* values, const std::string& doing);
/// Frees the texts or lists that a read of these extents has allocated.
void reclaim(const Handle& type, const std::vector<hsize_t>& extents, void* values);

/// Makes a dataset of one axis a dimension scale of this name; nothing where it is one.
void make_scale(const Handle& dataset, const std::string& name);
/// Gives an axis of a dataset its scale.
void attach_scale(const Handle& dataset, const Handle& scale, unsigned axis);

/// Text as an HDF5 string can hold it and every reader decodes it: U+0000, where an HDF5 string
/// would end, becomes U+2400 (symbol for null), and every byte outside a well-formed UTF-8
/// character becomes U+FFFD. All other text is returned unchanged.
std::string storable_text(std::string_view text);

/// Scalar attributes of a file, group or dataset. Text is made storable first.
void write_attribute(const Handle& object, const std::string& name, const std::string& text);
void write_attribute(const Handle& object, const std::string& name, std::int64_t value);
void write_attribute(const Handle& object, const std::string& name, std::uint64_t value);
void write_attribute(const Handle& object, const std::string& name, double value);
std::string read_text_attribute(const Handle& object, const std::string& name);
std::int64_t read_int_attribute(const Handle& object, const std::string& name);
std::uint64_t read_uint_attribute(const Handle& object, const std::string& name);
double read_double_attribute(const Handle& object, const std::string& name);

}  // namespace rvsweep::h5
