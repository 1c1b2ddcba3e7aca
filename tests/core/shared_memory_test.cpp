#include "rvsweep/core/shared_memory.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace rvsweep {
namespace {

/// Maps the memory under the handle in place of what this process has there.
std::shared_ptr<std::byte> opened(const std::string& handle) {
  const auto memory = SharedMemory::open(handle);
  if (!memory) return nullptr;
  const auto place = private_memory(memory->size());
  std::memcpy(place.get(), "private", 7);
  memory->map_over(place.get());
  return place;
}

/// What another process finds under the handle: 0 the text, 1 something else, 2 nothing.
int seen_by_another_process(const std::string& handle, const std::string& text) {
  const pid_t child = fork();
  if (child == 0) {
    const auto bytes = opened(handle);
    if (!bytes) _exit(2);
    _exit(std::memcmp(bytes.get() + 5000, text.data(), text.size()) == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SharedMemory, AnotherProcessReadsWhatTheMakerWrote) {
  const SharedMemory memory(10000);
  const std::string text = "one copy";
  std::memcpy(memory.map_writable().get() + 5000, text.data(), text.size());
  EXPECT_EQ(seen_by_another_process(memory.handle(), text), 0);
  EXPECT_EQ(seen_by_another_process(memory.handle(), "another text"), 1);
}

TEST(SharedMemory, AMappingReplacesWhatWasThereAndFollowsTheMaker) {
  const SharedMemory memory(1 << 20);
  const auto written = memory.map_writable();
  const auto seen = opened(memory.handle());
  EXPECT_EQ(seen.get()[0], std::byte{0});
  std::memcpy(written.get() + (1 << 20) - 4, "last", 4);
  EXPECT_EQ(std::memcmp(seen.get() + (1 << 20) - 4, "last", 4), 0);
}

TEST(SharedMemory, MappingsOutliveWhatMadeThem) {
  std::shared_ptr<std::byte> written, seen;
  std::string handle;
  {
    const SharedMemory memory(1 << 20);
    written = memory.map_writable();
    handle = memory.handle();
    seen = opened(handle);
  }
  std::memcpy(written.get(), "still here", 10);
  EXPECT_EQ(std::memcmp(seen.get(), "still here", 10), 0);
  EXPECT_FALSE(SharedMemory::open(handle).has_value());
}

TEST(SharedMemory, WhatIsNotWrittenTakesNoMemory) {
  constexpr std::size_t size = std::size_t{1} << 36;  // more than this machine has
  const SharedMemory memory(size);
  const auto bytes = memory.map_writable();
  bytes.get()[size - 1] = std::byte{7};
  EXPECT_EQ(bytes.get()[size - 1], std::byte{7});
}

TEST(SharedMemory, OtherMemoryUnderTheSameNumberIsNotTaken) {
  const SharedMemory memory(64), other(64);
  const std::string handle = memory.handle(), wrong = other.handle();
  // The process, size and file number of one, the inode of the other.
  const std::string mixed = handle.substr(0, handle.rfind(' ')) + wrong.substr(wrong.rfind(' '));
  EXPECT_TRUE(SharedMemory::open(handle).has_value());
  EXPECT_FALSE(SharedMemory::open(mixed).has_value());
}

}  // namespace
}  // namespace rvsweep
