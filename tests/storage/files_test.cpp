#include "rvsweep/storage/files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "storage/sample_sweep.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

/// An id that no process has: larger than the kernel hands out.
constexpr long dead_pid = 2000000000;

void touch(const fs::path& file) { std::ofstream(file) << "x"; }

TEST(Files, TemporaryNamesAreHiddenNeighboursAndNeverRepeat) {
  const fs::path first = temporary_name("/a/b/x.h5");
  EXPECT_EQ(first.parent_path(), "/a/b");
  EXPECT_EQ(first.filename().string().substr(0, 6), ".x.h5.");
  EXPECT_NE(first, temporary_name("/a/b/x.h5"));
}

TEST(Files, LeftoversOfTheDeadAreRemovedAndThoseOfTheLivingKept) {
  const sample::TemporaryFolder folder;
  create_folder(segments_folder(folder.path()));
  const fs::path mine = temporary_name(segment_file(folder.path(), BundleId{1}));
  const std::string dead =
      ".bundle-000002.h5." + host_name() + "-" + std::to_string(dead_pid) + "-0.tmp";
  const fs::path dead_here = segments_folder(folder.path()) / dead;
  const fs::path elsewhere = folder.path() / ".results.h5.some-other-node-1-0.tmp";
  const fs::path results = results_file(folder.path());
  const fs::path user_file = folder.path() / "notes.tmp";
  for (const fs::path& file : {mine, dead_here, elsewhere, results, user_file}) touch(file);
  EXPECT_EQ(remove_leftover_temporaries(folder.path()),
            (std::vector<fs::path>{elsewhere, dead_here}));
  EXPECT_FALSE(fs::exists(dead_here));
  EXPECT_FALSE(fs::exists(elsewhere));
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_TRUE(fs::exists(results));
  EXPECT_TRUE(fs::exists(user_file));
}

TEST(Files, AFolderThatIsMissingHasNoLeftovers) {
  const sample::TemporaryFolder folder;
  EXPECT_TRUE(remove_leftover_temporaries(folder.path() / "absent").empty());
}

TEST(Files, KnowsLivingFromDeadProcesses) {
  EXPECT_TRUE(process_is_alive(getpid()));
  EXPECT_TRUE(process_is_alive(1));
  EXPECT_FALSE(process_is_alive(dead_pid));
  EXPECT_FALSE(process_is_alive(0));
  EXPECT_FALSE(process_is_alive(-1));
}

TEST(Files, ReadsAndWritesAtOffsets) {
  const sample::TemporaryFolder folder;
  Descriptor file(folder.path() / "x", O_RDWR | O_CREAT);
  file.write_at(0, "hello world");
  file.write_at(6, "there");
  std::string text(20, '?');
  EXPECT_EQ(file.read_at(0, text.data(), text.size()), 11u);
  EXPECT_EQ(text.substr(0, 11), "hello there");
  EXPECT_EQ(file.read_at(100, text.data(), text.size()), 0u);
  file.sync();
  file.close();
  sync_folder(folder.path());
}

TEST(Files, FailuresNameTheFileAndTheReason) {
  try {
    Descriptor("/proc/no-such-file", O_RDONLY);
    FAIL() << "opened a file that does not exist";
  } catch (const OutputError& error) {
    EXPECT_STREQ(error.what(), "/proc/no-such-file: cannot be opened (No such file or directory)");
  }
  const sample::TemporaryFolder folder;
  touch(folder.path() / "file");
  EXPECT_THROW(create_folder(folder.path() / "file" / "below"), OutputError);
  EXPECT_THROW(list_folder(folder.path() / "file"), OutputError);
  EXPECT_THROW(rename_file(folder.path() / "absent", folder.path() / "x"), OutputError);
}

TEST(Files, TimeIsWrittenInUtc) {
  EXPECT_TRUE(testing::internal::RE::FullMatch(
      utc_now(), "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
}

}  // namespace
}  // namespace rvsweep
