#include "rvsweep/core/descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::string cannot(const std::string& action, int error_number) {
  return "cannot " + action + " (" + reason_of(error_number) + ")";
}

void fail_on_input(const std::filesystem::path& file, const std::string& action, int error_number) {
  throw InputError(file.string(), cannot(action, error_number));
}

}  // namespace

std::string reason_of(int error_number) { return std::system_category().message(error_number); }

void fail_reading(const std::filesystem::path& file, const std::string& action, int error_number) {
  throw OutputError(file.string(), cannot(action, error_number));
}

void fail_writing(const std::filesystem::path& file, const std::string& action, int error_number) {
  throw OutputError(file.string(), cannot(action, error_number),
                    "make sure that the output folder is writable and has free space");
}

FileErrors input_errors() { return {fail_on_input, fail_on_input}; }

Descriptor::Descriptor(std::filesystem::path file, int flags, FileErrors errors)
    : file_(std::move(file)), errors_(errors), fd_(::open(file_.c_str(), flags | O_CLOEXEC, 0666)) {
  if (fd_ >= 0) return;
  if ((flags & O_CREAT) != 0) errors_.writing(file_, "be created", errno);
  errors_.reading(file_, "be opened", errno);
}

Descriptor::Descriptor(int fd, std::filesystem::path file, FileErrors errors)
    : file_(std::move(file)), errors_(errors), fd_(fd) {}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(errors_, other.errors_);
  std::swap(fd_, other.fd_);
  return *this;
}

std::size_t Descriptor::read_at(std::size_t offset, void* into, std::size_t size) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, static_cast<char*>(into) + done, size - done,
                                static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) errors_.reading(file_, "be read", errno);
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::string Descriptor::read_all() const {
  constexpr std::size_t piece = 1 << 20;
  std::string text;
  for (std::size_t got = piece; got == piece;) {
    const std::size_t at = text.size();
    text.resize(at + piece);
    got = read_at(at, text.data() + at, piece);
    text.resize(at + got);
  }
  return text;
}

void Descriptor::write_at(std::size_t offset, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) errors_.writing(file_, "be written", errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::size_t>(put);
  }
}

void Descriptor::sync() const {
  if (::fsync(fd_) != 0) errors_.writing(file_, "be brought to the disk", errno);
}

void Descriptor::drop_cache() const {
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);  // a hint: its failure changes nothing
}

void Descriptor::close() {
  if (::close(std::exchange(fd_, -1)) != 0) errors_.writing(file_, "be closed", errno);
}

}  // namespace rvsweep
