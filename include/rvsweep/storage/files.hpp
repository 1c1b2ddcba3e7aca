#pragma once
// The POSIX calls that make a file durable, and names that tell whose temporary file one is.
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

std::string host_name();
/// Whether a process of this host has this id (also one of another user).
bool process_is_alive(long pid);
/// Now, in UTC: "2024-05-01T12:00:00Z".
std::string utc_now();

/// An open file, closed at the end of its life. Every function throws OutputError naming the file
/// and the reason that the operating system gives.
class Descriptor {
 public:
  /// `flags` as for open(2); O_CLOEXEC is added. New files get mode 0666 less the umask.
  Descriptor(std::filesystem::path file, int flags);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) = delete;

  int get() const { return fd_; }
  /// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
  std::size_t read_at(std::size_t offset, void* into, std::size_t size) const;
  void write_at(std::size_t offset, std::string_view bytes) const;
  /// fsync: the content is on the disk, or OutputError.
  void sync() const;
  /// Lets the operating system forget its copy, so that the next read comes from the disk.
  void drop_cache() const;
  /// Closes with a check: some file systems report a failed write only here.
  void close();

 private:
  std::filesystem::path file_;
  int fd_;
};

/// Makes the renames in a folder durable. File systems that cannot fsync a folder are accepted.
void sync_folder(const std::filesystem::path& folder);

/// A new hidden name in the folder of `file`; it holds host and process id of its maker.
std::filesystem::path temporary_name(const std::filesystem::path& file);

/// Removes what writers that died left in DIR and DIR/segments and returns those paths. For the
/// holder of the folder's lock; temporaries of living processes of this host are kept.
std::vector<std::filesystem::path> remove_leftover_temporaries(
    const std::filesystem::path& sweep_folder);

/// Renames over `to`; OutputError when that fails.
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Creates a folder and its parents; OutputError when that fails.
void create_folder(const std::filesystem::path& folder);

/// The entries of a folder, sorted by name; none when it does not exist. OutputError when it
/// cannot be listed.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

/// "No space left on device" and the like for an errno value.
std::string reason_of(int error_number);

}  // namespace rvsweep
