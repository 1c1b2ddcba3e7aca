#include "rvsweep/core/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

[[noreturn]] void refuse(std::size_t bytes) {
  throw InputError(
      "", std::to_string(bytes) + " bytes of memory cannot be had (" + strerror(errno) + ")",
      "free memory, or raise the job's limit");
}

}  // namespace

// The system lets one thread at a time write to a file, hence several.
std::size_t SharedMemory::part_bytes() const {
  constexpr std::size_t unit = 64 << 20, most_parts = 64;
  return (size_ / (unit * most_parts) + 1) * unit;
}

SharedMemory::SharedMemory(std::size_t bytes) : SharedMemory() {
  size_ = bytes;
  for (std::size_t begin = 0; begin < bytes; begin += part_bytes()) {
    const int fd = memfd_create("rvsweep-weights", MFD_CLOEXEC);
    if (fd < 0) refuse(bytes);
    parts_.push_back(fd);
    if (ftruncate(fd, static_cast<off_t>(std::min(part_bytes(), bytes - begin))) != 0)
      refuse(bytes);
  }
}

SharedMemory::~SharedMemory() {
  for (const int fd : parts_) close(fd);
}

// The inodes tell this memory from whatever another container has under the same process id.
std::string SharedMemory::handle() const {
  std::ostringstream text;
  text << getpid() << ' ' << size_;
  for (const int fd : parts_) {
    struct stat info {};
    fstat(fd, &info);
    text << ' ' << fd << ' ' << info.st_ino;
  }
  return text.str();
}

std::optional<SharedMemory> SharedMemory::open(const std::string& handle) {
  std::istringstream text(handle);
  long process = 0;
  SharedMemory memory;
  text >> process >> memory.size_;
  for (std::size_t begin = 0; begin < memory.size_; begin += memory.part_bytes()) {
    long number = 0;
    ino_t inode = 0;
    text >> number >> inode;
    const std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(number);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    memory.parts_.push_back(fd);
    const auto bytes = std::min(memory.part_bytes(), memory.size_ - begin);
    struct stat info {};
    const bool same =
        fstat(fd, &info) == 0 && info.st_ino == inode && info.st_size == static_cast<off_t>(bytes);
    if (!same) return std::nullopt;
  }
  return memory;
}

void SharedMemory::write(std::size_t offset, const void* data, std::size_t bytes) const {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const std::size_t in_part = offset % part_bytes();
    const ssize_t written =
        pwrite(parts_[offset / part_bytes()], next, std::min(bytes, part_bytes() - in_part),
               static_cast<off_t>(in_part));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) refuse(size_);
    next += written;
    offset += static_cast<std::size_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

std::shared_ptr<const std::byte> SharedMemory::map() const {
  // Address space first, then each part at its place in it.
  void* data = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) refuse(size_);
  const std::shared_ptr<const std::byte> mapping(
      static_cast<const std::byte*>(data),
      [data, size = size_](const std::byte*) { munmap(data, size); });
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    const std::size_t begin = part * part_bytes();
    if (mmap(static_cast<std::byte*>(data) + begin, std::min(part_bytes(), size_ - begin),
             PROT_READ, MAP_SHARED | MAP_FIXED, parts_[part], 0) == MAP_FAILED)
      refuse(size_);
  }
  return mapping;
}

}  // namespace rvsweep
