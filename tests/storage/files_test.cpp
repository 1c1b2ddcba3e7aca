#include "rvsweep/storage/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

/// An id that no process has: larger than the kernel hands out.
constexpr long dead_pid = 2000000000;

void touch(const fs::path& file) { std::ofstream(file) << "x"; }

TEST(Files, TemporaryNamesAreHiddenNeighboursAndNeverRepeat) {
  const TemporaryFile first("/a/b/x.h5"), second("/a/b/x.h5");
  EXPECT_EQ(first.path().parent_path(), "/a/b");
  EXPECT_EQ(first.path().filename().string().substr(0, 6), ".x.h5.");
  EXPECT_NE(first.path(), second.path());
}

TEST(Files, ATemporaryFileTakesItsPlaceOrGoes) {
  const TemporaryFolder folder;
  {
    TemporaryFile kept(folder.path() / "kept");
    const TemporaryFile lost(folder.path() / "lost");
    touch(kept.path());
    touch(lost.path());
    kept.put_in_place();
  }
  EXPECT_EQ(list_folder(folder.path()), std::vector<fs::path>{folder.path() / "kept"});
}

TEST(Files, LeftoversOfTheDeadAreRemovedAndThoseOfTheLivingKept) {
  const TemporaryFolder folder;
  create_folder(segments_folder(folder.path()));
  const TemporaryFile mine(segment_file(folder.path(), BundleId{1}));
  const std::string dead =
      ".bundle-000002.h5." + host_name() + "-" + std::to_string(dead_pid) + "-0.tmp";
  const fs::path dead_here = segments_folder(folder.path()) / dead;
  const fs::path elsewhere = folder.path() / ".results.h5.some-other-node-1-0.tmp";
  const fs::path results = results_file(folder.path());
  const fs::path user_file = folder.path() / "notes.tmp";
  for (const fs::path& file : {mine.path(), dead_here, elsewhere, results, user_file}) touch(file);
  EXPECT_EQ(remove_leftover_temporaries(folder.path()),
            (std::vector<fs::path>{elsewhere, dead_here}));
  EXPECT_FALSE(fs::exists(dead_here));
  EXPECT_FALSE(fs::exists(elsewhere));
  EXPECT_TRUE(fs::exists(mine.path()));
  EXPECT_TRUE(fs::exists(results));
  EXPECT_TRUE(fs::exists(user_file));
}

TEST(Files, AFolderThatIsMissingHasNoLeftovers) {
  const TemporaryFolder folder;
  EXPECT_TRUE(remove_leftover_temporaries(folder.path() / "absent").empty());
}

TEST(Files, AFolderIsBroughtToTheDisk) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(sync_folder(folder.path()));
  EXPECT_THROW(sync_folder(folder.path() / "absent"), OutputError);
}

TEST(Files, FailuresNameTheFileAndTheReason) {
  const TemporaryFolder folder;
  touch(folder.path() / "file");
  const auto fails = [](const fs::path& file, const std::string& problem) {
    return ThrowsMessage<OutputError>(StartsWith(file.string() + ": " + problem));
  };
  const fs::path below = folder.path() / "file" / "below";
  EXPECT_THAT([&] { create_folder(below); }, fails(below, "cannot be created (Not a directory)"));
  EXPECT_THAT([&] { list_folder(folder.path() / "file"); },
              fails(folder.path() / "file", "cannot be listed (Not a directory)"));
  EXPECT_THAT([&] { rename_file(folder.path() / "absent", folder.path() / "x"); },
              fails(folder.path() / "x", "cannot be put in place (No such file or directory)"));
}

}  // namespace
}  // namespace rvsweep
