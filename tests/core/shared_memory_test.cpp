#include "rvsweep/core/shared_memory.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace rvsweep {
namespace {

/// The memory under the handle, or null.
std::shared_ptr<std::byte> opened(const std::string& handle) {
  const auto memory = SharedMemory::open(handle);
  return memory ? memory->map() : nullptr;
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
  std::memcpy(memory.map().get() + 5000, text.data(), text.size());
  EXPECT_EQ(seen_by_another_process(memory.handle(), text), 0);
  EXPECT_EQ(seen_by_another_process(memory.handle(), "another text"), 1);
}

TEST(SharedMemory, EveryMappingSeesWhatAnotherWrites) {
  const SharedMemory memory(1 << 20);
  const auto first = memory.map(), second = opened(memory.handle());
  EXPECT_EQ(second.get()[0], std::byte{0});
  std::memcpy(first.get() + (1 << 20) - 4, "last", 4);
  EXPECT_EQ(std::memcmp(second.get() + (1 << 20) - 4, "last", 4), 0);
  std::memcpy(second.get(), "first", 5);
  EXPECT_EQ(std::memcmp(first.get(), "first", 5), 0);
}

TEST(SharedMemoryDeathTest, AMappingMadeReadOnlyIsReadOnly) {
  const SharedMemory memory(5000);
  const auto mapping = memory.map(), other = memory.map();
  make_read_only(mapping.get(), 5000);
  other.get()[4999] = std::byte{7};
  EXPECT_EQ(mapping.get()[4999], std::byte{7});
  EXPECT_DEATH(mapping.get()[4999] = std::byte{8}, "");
}

TEST(SharedMemory, MappingsOutliveWhatMadeThem) {
  std::shared_ptr<std::byte> written, seen;
  std::string handle;
  {
    const SharedMemory memory(1 << 20);
    written = memory.map();
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
  const auto bytes = memory.map();
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
