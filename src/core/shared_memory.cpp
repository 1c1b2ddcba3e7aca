#include "rvsweep/core/shared_memory.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

[[noreturn]] void refuse(std::size_t bytes) {
  throw InputError(
      "", std::to_string(bytes) + " bytes of memory cannot be had (" + reason_of(errno) + ")",
      "free memory, or raise the job's limit");
}

std::shared_ptr<std::byte> unmapped_at_end(void* data, std::size_t bytes) {
  if (data == MAP_FAILED) refuse(bytes);
  return {static_cast<std::byte*>(data), [bytes](std::byte* mapping) { munmap(mapping, bytes); }};
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : SharedMemory({memfd_create("rvsweep-weights", MFD_CLOEXEC), ""}, bytes) {
  if (memory_.get() < 0 || ftruncate(memory_.get(), static_cast<off_t>(bytes)) != 0) refuse(bytes);
}

SharedMemory::SharedMemory(Descriptor memory, std::size_t bytes)
    : memory_(std::move(memory)), size_(bytes) {}

// The inode tells this memory from whatever another container has under the same process id.
std::string SharedMemory::handle() const {
  struct stat info {};
  fstat(memory_.get(), &info);
  return fmt::format("{} {} {} {}", getpid(), size_, memory_.get(), info.st_ino);
}

std::optional<SharedMemory> SharedMemory::open(const std::string& handle) {
  std::istringstream text(handle);
  long process = 0, fd = 0;
  std::size_t bytes = 0;
  ino_t inode = 0;
  text >> process >> bytes >> fd >> inode;
  const std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(fd);
  Descriptor memory(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
  struct stat info {};
  const bool same = memory.get() >= 0 && fstat(memory.get(), &info) == 0 && info.st_ino == inode &&
                    info.st_size == static_cast<off_t>(bytes);
  if (!same) return std::nullopt;
  return SharedMemory(std::move(memory), bytes);
}

std::shared_ptr<std::byte> SharedMemory::map() const {
  return unmapped_at_end(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0),
                         size_);
}

std::shared_ptr<std::byte> private_memory(std::size_t bytes) {
  const auto memory = unmapped_at_end(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                                      bytes);
  madvise(memory.get(), bytes, MADV_HUGEPAGE);
  return memory;
}

void make_read_only(std::byte* mapping, std::size_t bytes) {
  RVSWEEP_EXPECT(mprotect(mapping, bytes, PROT_READ) == 0, "the mapping begins at a page boundary");
}

}  // namespace rvsweep
