#include "rvsweep/core/read_file.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

TEST(ReadFile, GivesEveryByte) {
  const TemporaryFolder folder;
  const std::string bytes("\0a\r\n\xff\n", 6), large(300000, 'x');
  for (const std::string& content : {bytes, large, std::string()})
    EXPECT_EQ(read_file(folder.write("x", content)), content);
}

TEST(ReadFile, GivesNothingForWhatIsNoReadableFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_file(folder.path() / "absent"), std::nullopt);
  EXPECT_EQ(read_file(folder.path()), std::nullopt);
  EXPECT_EQ(read_file("/proc/self/mem"), std::nullopt);  // opens, and fails at its first byte
}

}  // namespace
}  // namespace rvsweep
