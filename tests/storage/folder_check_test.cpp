#include "rvsweep/storage/folder_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "rvsweep/core/error.hpp"
#include "storage/sample_sweep.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(CheckFolder, FindsThatAFolderHereWorksAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const FolderCheck check = check_folder(folder.path());
  EXPECT_EQ(check.fsync, "");
  EXPECT_EQ(check.rename, "");
  EXPECT_EQ(check.flock, "");
  EXPECT_EQ(check.fcntl, "");
  EXPECT_NE(check.file_system, "");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  struct statvfs space {};
  ASSERT_EQ(statvfs(folder.path().c_str(), &space), 0);
  const double expected = static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize);
  EXPECT_NEAR(static_cast<double>(check.free_bytes), expected, 0.05 * expected + 1e9);
}

TEST(CheckFolder, TriesTheFolderAboveOneThatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_EQ(check_folder(folder.path() / "not" / "yet").fsync, "");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CheckFolder, KnowsTmpfs) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  EXPECT_EQ(check_folder("/dev/shm").file_system, "tmpfs");
}

TEST(CheckFolder, NamesAFolderThatCannotBeWritten) {
  EXPECT_THAT([] { check_folder("/proc/self"); },  // not even root may create files there
              ::testing::ThrowsMessage<OutputError>(HasSubstr("/proc/self")));
}

}  // namespace
}  // namespace rvsweep
