#pragma once
// Folders, renames, and names that tell whose temporary file one is. OutputError, naming the file
// and the system's reason, where something fails.
#include <filesystem>
#include <vector>

namespace rvsweep {

/// Makes the renames in a folder durable. File systems that cannot fsync a folder are accepted.
void sync_folder(const std::filesystem::path& folder);

/// A file under a new hidden name in the folder of `file`, which holds host and process id of its
/// maker; removed unless it took the place of `file`.
class TemporaryFile {
 public:
  /// Creates nothing.
  explicit TemporaryFile(std::filesystem::path file);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Renames it over `file`.
  void put_in_place();

 private:
  std::filesystem::path file_, path_;
};

/// Removes the temporary files of dead writers in DIR and DIR/segments and returns their paths. For
/// the holder of the folder's lock; those of living processes of this host are kept.
std::vector<std::filesystem::path> remove_leftover_temporaries(
    const std::filesystem::path& sweep_folder);

/// Renames over `to`.
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Creates a folder and its parents.
void create_folder(const std::filesystem::path& folder);

/// The entries of a folder, sorted by name; none when it does not exist.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

}  // namespace rvsweep
