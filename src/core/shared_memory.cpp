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

std::shared_ptr<std::byte> unmapped_at_end(void* data, std::size_t bytes) {
  if (data == MAP_FAILED) refuse(bytes);
  return {static_cast<std::byte*>(data), [bytes](std::byte* place) { munmap(place, bytes); }};
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : fd_(memfd_create("rvsweep-weights", MFD_CLOEXEC)), size_(bytes) {
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(bytes)) != 0) refuse(bytes);
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
  text << getpid() << ' ' << size_ << ' ' << fd_ << ' ' << info.st_ino;
  return text.str();
}

std::optional<SharedMemory> SharedMemory::open(const std::string& handle) {
  std::istringstream text(handle);
  long process = 0, number = 0;
  ino_t inode = 0;
  SharedMemory memory;
  text >> process >> memory.size_ >> number >> inode;
  const std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(number);
  memory.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (memory.fd_ < 0) return std::nullopt;
  struct stat info {};
  const bool same = fstat(memory.fd_, &info) == 0 && info.st_ino == inode &&
                    info.st_size == static_cast<off_t>(memory.size_);
  if (!same) return std::nullopt;
  return memory;
}

std::shared_ptr<std::byte> SharedMemory::map() const {
  return unmapped_at_end(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0), size_);
}

std::shared_ptr<std::byte> private_memory(std::size_t bytes) {
  const auto memory = unmapped_at_end(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                                      bytes);
  madvise(memory.get(), bytes, MADV_HUGEPAGE);
  return memory;
}

void make_read_only(std::byte* mapping, std::size_t bytes) {
  RVSWEEP_EXPECT(mprotect(mapping, bytes, PROT_READ) == 0, "the mapping begins with a page");
}

}  // namespace rvsweep
