#include "rvsweep/core/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

[[noreturn]] void refuse(std::size_t bytes) {
  throw InputError(
      "", std::to_string(bytes) + " bytes of memory cannot be had (" + strerror(errno) + ")",
      "free memory, or raise the job's limit");
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : fd_(memfd_create("rvsweep-weights", MFD_CLOEXEC)), size_(bytes) {
  if (fd_ >= 0 && ftruncate(fd_, static_cast<off_t>(bytes)) == 0) return;
  if (fd_ >= 0) close(fd_);
  refuse(bytes);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

SharedMemory::~SharedMemory() {
  if (fd_ >= 0) close(fd_);
}

// The inode tells this memory from whatever another container has under the same process id.
std::string SharedMemory::handle() const {
  struct stat info {};
  fstat(fd_, &info);
  std::ostringstream text;
  text << getpid() << ' ' << fd_ << ' ' << info.st_ino << ' ' << size_;
  return text.str();
}

std::optional<SharedMemory> SharedMemory::open(const std::string& handle) {
  std::istringstream text(handle);
  long process = 0, number = 0;
  ino_t inode = 0;
  std::size_t bytes = 0;
  text >> process >> number >> inode >> bytes;
  const std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(number);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  SharedMemory memory(fd, bytes);
  struct stat info {};
  const bool same =
      fstat(fd, &info) == 0 && info.st_ino == inode && info.st_size == static_cast<off_t>(bytes);
  if (!same) return std::nullopt;
  return memory;
}

void SharedMemory::write(std::size_t offset, const void* data, std::size_t bytes) const {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(fd_, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) refuse(size_);
    next += written;
    offset += static_cast<std::size_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

std::shared_ptr<const std::byte> SharedMemory::map() const {
  void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
  if (data == MAP_FAILED) refuse(size_);
  return {static_cast<const std::byte*>(data),
          [data, size = size_](const std::byte*) { munmap(data, size); }};
}

}  // namespace rvsweep
