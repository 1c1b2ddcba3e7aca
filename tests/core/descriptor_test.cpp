#include "rvsweep/core/descriptor.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
using ::testing::Eq;
using ::testing::ThrowsMessage;

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(Descriptor, ReadsAndWritesAtOffsets) {
  const TemporaryFolder folder;
  Descriptor file(folder.path() / "x", O_RDWR | O_CREAT);
  file.write_at(0, "hello world");
  file.write_at(6, "there");
  std::string text(20, '?');
  EXPECT_EQ(file.read_at(0, text.data(), text.size()), 11u);
  EXPECT_EQ(text.substr(0, 11), "hello there");
  EXPECT_EQ(file.read_at(100, text.data(), text.size()), 0u);
  file.sync();
  file.drop_cache();
  EXPECT_EQ(file.read_all(), "hello there");
  file.close();
}

TEST(Descriptor, ReadsAllOfAFileOfAnySize) {
  const TemporaryFolder folder;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1} << 20, (std::size_t{2} << 20) + 5}) {
    const std::string bytes(size, 'x');
    EXPECT_TRUE(Descriptor(folder.write("x", bytes), O_RDONLY).read_all() == bytes) << size;
  }
}

TEST(Descriptor, ClosesItsFileAndNoOther) {
  const TemporaryFolder folder;
  int fd = -1;
  {
    Descriptor first(folder.write("x", "x"), O_RDONLY);
    fd = first.get();
    const Descriptor second = std::move(first);
    EXPECT_EQ(second.get(), fd);
    EXPECT_EQ(first.get(), -1);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(Descriptor().get(), -1);
}

TEST(Descriptor, TakesOverAnOpenFileUnderAName) {
  const TemporaryFolder folder;
  const int fd = ::open(folder.write("x", "text").c_str(), O_RDONLY | O_CLOEXEC);
  const Descriptor file(fd, "a name");
  EXPECT_EQ(file.read_all(), "text");
  EXPECT_THAT([&] { file.write_at(0, "x"); },
              ThrowsMessage<OutputError>(
                  Eq("a name: cannot be written (Bad file descriptor): make sure that the output "
                     "folder is writable and has free space")));
}

TEST(Descriptor, FailuresNameTheFileAndTheReason) {
  EXPECT_THAT([] { Descriptor("/proc/no-such-file", O_RDONLY); },
              ThrowsMessage<OutputError>(
                  Eq("/proc/no-such-file: cannot be opened (No such file or directory)")));
  EXPECT_THAT(
      [] { Descriptor("/proc/no-such-file", O_RDWR | O_CREAT); },
      ThrowsMessage<OutputError>(
          Eq("/proc/no-such-file: cannot be created (No such file or directory): make sure that "
             "the output folder is writable and has free space")));
  EXPECT_EQ(reason_of(ENOSPC), "No space left on device");
}

TEST(Descriptor, OfInputFailsWithAnInputErrorThatIsNoOutputError) {
  const auto open = [] { Descriptor("/proc/no-such-file", O_RDONLY, input_errors()); };
  EXPECT_EQ(refusal_message(open),
            "/proc/no-such-file: cannot be opened (No such file or directory)");
  try {
    open();
  } catch (const InputError& error) {
    EXPECT_EQ(dynamic_cast<const OutputError*>(&error), nullptr);
  }
}

}  // namespace
}  // namespace rvsweep
