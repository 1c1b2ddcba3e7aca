#include "rvsweep/storage/journal_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/storage/journal.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

class Troubles : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  JournalTroubles troubles{folder.path()};
};

TEST_F(Troubles, AreThoseOfBundlesThatFailedAndWereNotComputedSince) {
  Journal journal(folder.path());
  EXPECT_TRUE(troubles.update().empty());
  journal.begin(5, 2, std::vector<bool>(4, false));
  journal.handed_out({{BundleId{0}, 0}, {BundleId{1}, 1}, {BundleId{2}, 0}});
  journal.failed({BundleId{1}, 1}, "no memory");
  EXPECT_EQ(troubles.update().at(BundleId{1}).reason, "no memory");
  journal.failed({BundleId{1}, 0}, "no memory again");
  journal.failed({BundleId{2}, 0}, "NaN");
  journal.set_aside(BundleId{1}, "failed twice");
  journal.done({BundleId{0}, 0});
  journal.done({BundleId{2}, 0});
  const auto& now = troubles.update();
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now.at(BundleId{1}).attempts, 2);
  EXPECT_TRUE(now.at(BundleId{1}).set_aside);
  EXPECT_EQ(now.at(BundleId{1}).reason, "failed twice");
}

TEST_F(Troubles, CountADeadProcessAndForgetAnotherSweep) {
  const std::vector<bool> committed(4, false);
  {
    Journal journal(folder.path());
    journal.begin(5, 1, committed);
    journal.handed_out({{BundleId{3}, 0}});
  }
  Journal(folder.path()).begin(5, 1, committed);
  EXPECT_EQ(troubles.update().at(BundleId{3}).attempts, 1);
  EXPECT_THAT(troubles.update().at(BundleId{3}).reason, HasSubstr("died"));
  Journal(folder.path()).begin(6, 1, committed);
  EXPECT_TRUE(troubles.update().empty());
}

TEST_F(Troubles, WaitForTheEndOfALineAndPassOverWhatIsNoEvent) {
  std::ofstream file(journal_file(folder.path()), std::ios::binary);
  file << "no event\n{\"event\":\"failed\",\"bundle\":7,\"rank\":0,\"rea" << std::flush;
  EXPECT_TRUE(troubles.update().empty());
  file << "son\":\"late\"}\n" << std::flush;
  EXPECT_EQ(troubles.update().at(BundleId{7}).reason, "late");
  EXPECT_EQ(troubles.update().at(BundleId{7}).attempts, 1);
}

}  // namespace
}  // namespace rvsweep
