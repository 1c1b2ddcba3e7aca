#pragma once
// Thin RAII over the HDF5 C API. Every return code is checked; what the library has to say becomes
// the message of h5::Error, which the functions of this module turn into InputError (reading) or
// OutputError (writing) with the file's name. For this module only; one thread at a time.
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace rvsweep::h5 {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error("<doing> failed (<HDF5's innermost message>)") when `result` is negative.
void check(std::int64_t result, const std::string& doing);

/// Owns one HDF5 identifier. The destructor closes without a check, for readers and for the way out
/// of an error; files and datasets that were written to are closed by close().
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  /// Takes over `id`, the result of the call that `doing` describes; throws Error when negative.
  Handle(hid_t id, Closer closer, const std::string& doing);
  ~Handle();
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;

  hid_t id() const { return id_; }
  /// Flushes and closes; Error when either fails.
  void close(const std::string& doing);

 private:
  hid_t id_;
  Closer closer_;
};

/// Room before the HDF5 part of a file, for the line that holds its checksum.
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
Handle open_dataset(const Handle& parent, const std::string& path);
/// Whether `path` ("a/b") is there, with its parents.
bool has_dataset(const Handle& parent, const std::string& path);

/// Chunks of `chunk_items` first-axis items, shuffled, deflated (gzip 4) and checksummed
/// (Fletcher-32, which HDF5 does not offer for texts and lists of variable length); 0 = one
/// contiguous, unfiltered piece.
Handle create_dataset(const Handle& parent, const std::string& path, hid_t type,
                      const std::vector<hsize_t>& extents, hsize_t chunk_items);

/// Extents of a dataset's space; empty for a scalar.
std::vector<hsize_t> extents_of(const Handle& dataset);

/// Variable-length UTF-8 text, h5py's str.
Handle text_type();

/// A memory space of `extents`, and the part of a dataset's space from item `first` on that it
/// fills.
Handle simple_space(const std::vector<hsize_t>& extents);
Handle select_items(const Handle& dataset, hsize_t first, const std::vector<hsize_t>& extents);

/// Scalar attributes of a file, group or dataset. Text is made storable first (h5_text.hpp).
void write_attribute(const Handle& object, const std::string& name, const std::string& text);
void write_attribute(const Handle& object, const std::string& name, std::int64_t value);
void write_attribute(const Handle& object, const std::string& name, std::uint64_t value);
void write_attribute(const Handle& object, const std::string& name, double value);
std::string read_text_attribute(const Handle& object, const std::string& name);
std::int64_t read_int_attribute(const Handle& object, const std::string& name);
std::uint64_t read_uint_attribute(const Handle& object, const std::string& name);
double read_double_attribute(const Handle& object, const std::string& name);

/// Paths of all groups and datasets below the root, sorted: "rows", "rows/status".
std::vector<std::string> object_paths(const Handle& file);
bool is_dataset(const Handle& file, const std::string& path);

}  // namespace rvsweep::h5
