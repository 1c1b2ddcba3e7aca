#include "rvsweep/core/shared_memory.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace rvsweep {
namespace {

/// What another process finds under the handle: 0 the text, 1 something else, 2 nothing.
int seen_by_another_process(const std::string& handle, const std::string& text) {
  const pid_t child = fork();
  if (child == 0) {
    const auto memory = SharedMemory::open(handle);
    if (!memory) _exit(2);
    const auto bytes = memory->map();
    _exit(std::memcmp(bytes.get() + 5000, text.data(), text.size()) == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SharedMemory, AnotherProcessReadsIt) {
  const SharedMemory memory(10000);
  const std::string text = "one copy";
  memory.write(5000, text.data(), text.size());
  EXPECT_EQ(seen_by_another_process(memory.handle(), text), 0);
  EXPECT_EQ(seen_by_another_process(memory.handle(), "another text"), 1);
}

TEST(SharedMemory, AMappingOutlivesWhatMadeIt) {
  std::shared_ptr<const std::byte> bytes;
  std::string handle;
  {
    const SharedMemory memory(1 << 20);
    memory.write((1 << 20) - 4, "last", 4);
    bytes = memory.map();
    handle = memory.handle();
  }
  EXPECT_EQ(std::memcmp(bytes.get() + (1 << 20) - 4, "last", 4), 0);
  EXPECT_EQ(bytes.get()[0], std::byte{0});
  EXPECT_FALSE(SharedMemory::open(handle).has_value());
}

TEST(SharedMemory, WhatIsWrittenAcrossItsPartsIsOnePiece) {
  constexpr std::size_t size = 150 << 20, border = 64 << 20;
  const SharedMemory memory(size);
  std::string text;
  for (int i = 0; i < 10000; ++i) text += static_cast<char>(i * 7 + i / 250);
  memory.write(border - 5000, text.data(), text.size());
  memory.write(2 * border - 1, text.data(), text.size());
  memory.write(size - 4, "last", 4);
  for (const auto& bytes : {memory.map(), SharedMemory::open(memory.handle())->map()}) {
    EXPECT_EQ(std::memcmp(bytes.get() + border - 5000, text.data(), text.size()), 0);
    EXPECT_EQ(std::memcmp(bytes.get() + 2 * border - 1, text.data(), text.size()), 0);
    EXPECT_EQ(std::memcmp(bytes.get() + size - 4, "last", 4), 0);
    EXPECT_EQ(bytes.get()[border + 5000], std::byte{0});
  }
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
