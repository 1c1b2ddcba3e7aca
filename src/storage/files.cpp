#include "rvsweep/storage/files.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/sweep_paths.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view temporary_suffix = ".tmp";

[[noreturn]] void fail_reading(const fs::path& file, const std::string& action, int error_number) {
  throw OutputError(file.string(), "cannot " + action + " (" + reason_of(error_number) + ")");
}

[[noreturn]] void fail_writing(const fs::path& file, const std::string& action, int error_number) {
  throw OutputError(file.string(), "cannot " + action + " (" + reason_of(error_number) + ")",
                    "make sure that the output folder is writable and has free space");
}

/// Writers still at work: this host and a living process. Names are .NAME.HOST-PID-NUMBER.tmp.
bool belongs_to_living_process(std::string_view name) {
  name.remove_suffix(temporary_suffix.size());
  const auto number_dash = name.rfind('-');
  if (number_dash == std::string_view::npos) return false;
  name = name.substr(0, number_dash);
  const auto pid_dash = name.rfind('-');
  if (pid_dash == std::string_view::npos) return false;
  long pid = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + pid_dash + 1, end, pid);
  if (error != std::errc{} || stop != end) return false;
  std::string host = ".";
  host += host_name();
  return name.substr(0, pid_dash).ends_with(host) && process_is_alive(pid);
}
}  // namespace

std::string reason_of(int error_number) { return std::system_category().message(error_number); }

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "unknown-host";
  return name;
}

bool process_is_alive(long pid) {
  if (pid <= 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno != EPERM)) return false;
  // A killed process that nobody has waited for still has its number, and state Z after its name.
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  const std::string line{std::istreambuf_iterator<char>(stat), {}};
  const auto name_end = line.rfind(") ");
  return name_end == std::string::npos || line.substr(name_end + 2, 1) != "Z";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Descriptor::Descriptor(fs::path file, int flags)
    : file_(std::move(file)), fd_(::open(file_.c_str(), flags | O_CLOEXEC, 0666)) {
  if (fd_ >= 0) return;
  if ((flags & O_CREAT) != 0) fail_writing(file_, "be created", errno);
  fail_reading(file_, "be opened", errno);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept
    : file_(std::move(other.file_)), fd_(std::exchange(other.fd_, -1)) {}

std::size_t Descriptor::read_at(std::size_t offset, void* into, std::size_t size) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, static_cast<char*>(into) + done, size - done,
                                static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_reading(file_, "be read", errno);
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void Descriptor::write_at(std::size_t offset, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_writing(file_, "be written", errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::size_t>(put);
  }
}

void Descriptor::sync() const {
  if (::fsync(fd_) != 0) fail_writing(file_, "be brought to the disk", errno);
}

void Descriptor::drop_cache() const {
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);  // a hint: its failure changes nothing
}

void Descriptor::close() {
  if (::close(std::exchange(fd_, -1)) != 0) fail_writing(file_, "be closed", errno);
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EBADF) {
    fail_writing(folder, "be brought to the disk", errno);
  }
}

fs::path temporary_name(const fs::path& file) {
  static std::atomic<unsigned> counter{0};
  std::string name = ".";
  name += file.filename().string() + "." + host_name() + "-" + std::to_string(getpid()) + "-" +
          std::to_string(counter++);
  return file.parent_path() / name.append(temporary_suffix);
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::vector<fs::path> entries;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) {
      fail_reading(folder, "be listed", error.code().value());
    }
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
