#pragma once
// An open file that closes itself; every call on it is checked.
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace rvsweep {

/// "No space left on device" and the like for an errno value.
std::string reason_of(int error_number);

/// OutputError "FILE: cannot ACTION (reason)", after a failed write with what to do.
[[noreturn]] void fail_reading(const std::filesystem::path& file, const std::string& action,
                               int error_number);
[[noreturn]] void fail_writing(const std::filesystem::path& file, const std::string& action,
                               int error_number);

/// What failed calls on a file throw. `action` reads "be opened", "be read", "be created", ...
struct FileErrors {
  using Throw = void (*)(const std::filesystem::path& file, const std::string& action,
                         int error_number);
  Throw reading = fail_reading, writing = fail_writing;
};

/// InputError, for files that the user gives.
FileErrors input_errors();

/// Owns a file descriptor. Its members throw what its FileErrors say.
class Descriptor {
 public:
  /// No file.
  Descriptor() = default;
  /// `flags` as for open(2); O_CLOEXEC is added. New files get mode 0666 less the umask.
  Descriptor(std::filesystem::path file, int flags, FileErrors errors = {});
  /// Takes over `fd`, -1 for no file; `file` is its name in messages.
  Descriptor(int fd, std::filesystem::path file, FileErrors errors = {});
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const { return fd_; }  // -1: no file
  const std::filesystem::path& file() const { return file_; }

  /// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
  std::size_t read_at(std::size_t offset, void* into, std::size_t size) const;
  /// The whole file.
  std::string read_all() const;
  void write_at(std::size_t offset, std::string_view bytes) const;
  /// fsync: the content is on the disk when this returns.
  void sync() const;
  /// Lets the operating system forget its copy, so that the next read comes from the disk.
  void drop_cache() const;
  /// Closes with a check: some file systems report a failed write only here.
  void close();

 private:
  std::filesystem::path file_;
  FileErrors errors_;
  int fd_ = -1;
};

}  // namespace rvsweep
