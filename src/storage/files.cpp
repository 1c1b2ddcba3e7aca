#include "rvsweep/storage/files.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "rvsweep/core/descriptor.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view temporary_suffix = ".tmp";

/// Writers still at work: this host and a living process. Names are .NAME.HOST-PID-COUNT.tmp.
bool belongs_to_living_process(std::string_view name) {
  name.remove_suffix(temporary_suffix.size());
  const auto count_dash = name.rfind('-');
  if (count_dash == std::string_view::npos) return false;
  name = name.substr(0, count_dash);
  const auto pid_dash = name.rfind('-');
  if (pid_dash == std::string_view::npos) return false;
  const auto pid = parse_number<long>(name.substr(pid_dash + 1));
  return pid && name.substr(0, pid_dash).ends_with(fmt::format(".{}", host_name())) &&
         process_is_alive(*pid);
}

}  // namespace

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EBADF)
    fail_writing(folder, "be brought to the disk", errno);
}

TemporaryFile::TemporaryFile(fs::path file) : file_(std::move(file)) {
  static std::atomic<unsigned> counter{0};
  path_ = file_.parent_path() / fmt::format(".{}.{}-{}-{}{}", file_.filename().string(),
                                            host_name(), getpid(), counter++, temporary_suffix);
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  fs::resize_file(path_, 0, ignored);  // HDF5 may hold it open for good, see h5::Handle
  fs::remove(path_, ignored);
}

void TemporaryFile::put_in_place() { rename_file(path_, file_); }

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::vector<fs::path> entries;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory)
      fail_reading(folder, "be listed", error.code().value());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<fs::path> remove_leftover_temporaries(const fs::path& sweep_folder) {
  std::vector<fs::path> removed;
  for (const fs::path& folder : {sweep_folder, segments_folder(sweep_folder)}) {
    for (const fs::path& entry : list_folder(folder)) {
      const std::string name = entry.filename().string();
      if (!name.starts_with('.') || !name.ends_with(temporary_suffix)) continue;
      if (belongs_to_living_process(name)) continue;
      std::error_code error;
      fs::remove(entry, error);
      if (error) fail_writing(entry, "be removed", error.value());
      removed.push_back(entry);
    }
  }
  return removed;
}

void rename_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail_writing(to, "be put in place", error.value());
}

void create_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail_writing(folder, "be created", error.value());
}

}  // namespace rvsweep
