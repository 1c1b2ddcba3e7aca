#include "rvsweep/storage/folder_check.hpp"

#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "rvsweep/core/error.hpp"
#include "storage/sample_sweep.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

TEST(CheckFolder, FindsThatAFolderHereWorksAndLeavesNothingBehind) {
  const sample::TemporaryFolder folder;
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
  const sample::TemporaryFolder folder;
  EXPECT_EQ(check_folder(folder.path() / "not" / "yet").fsync, "");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CheckFolder, KnowsTmpfs) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  EXPECT_EQ(check_folder("/dev/shm").file_system, "tmpfs");
}

TEST(CheckFolder, NamesAFolderThatCannotBeWritten) {
  try {
    check_folder("/proc/self");  // not even root may create files there
    FAIL() << "nothing was thrown";
  } catch (const OutputError& error) {
    EXPECT_NE(std::string(error.what()).find("/proc/self"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace rvsweep
