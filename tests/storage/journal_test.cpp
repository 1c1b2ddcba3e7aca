#include "rvsweep/storage/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using Committed = std::vector<bool>;
constexpr std::uint64_t sweep = 7;

class JournalTest : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  std::filesystem::path file() const { return journal_file(folder.path()); }
  Journal open() const { return Journal(folder.path()); }

  /// A launch of two ranks that hands out bundles 0, 1 to rank 0 and 2, 3 to rank 1 and dies.
  Attempts launch_that_dies(const Committed& committed = Committed(6)) const {
    Journal journal = open();
    const Attempts attempts = journal.begin(sweep, 2, committed);
    hand_out(journal);
    return attempts;
  }
  static void hand_out(Journal& journal) {
    journal.handed_out({{BundleId{0}, 0}, {BundleId{2}, 1}, {BundleId{1}, 0}, {BundleId{3}, 1}});
  }
  Attempts next_launch(const Committed& committed = Committed(6)) const {
    return open().begin(sweep, 2, committed);
  }
};

Attempts attempts(std::initializer_list<std::pair<const int, int>> values) {
  Attempts result;
  for (const auto& [bundle, number] : values) result[BundleId{bundle}] = number;
  return result;
}

TEST_F(JournalTest, ANewOneHoldsNoAttempts) { EXPECT_EQ(next_launch(), Attempts()); }

TEST_F(JournalTest, ADeadLaunchCountsTheFirstBundleOfEachRank) {
  launch_that_dies();
  EXPECT_EQ(next_launch(), attempts({{0, 1}, {2, 1}}));
  EXPECT_EQ(next_launch(), attempts({{0, 1}, {2, 1}})) << "counted once";
  launch_that_dies();
  EXPECT_EQ(next_launch(), attempts({{0, 2}, {2, 2}}));
}

TEST_F(JournalTest, WhatWasCommittedWithoutAReportIsNotBlamed) {
  launch_that_dies();
  Committed committed(6);
  committed[0] = true;
  EXPECT_EQ(next_launch(committed), attempts({{1, 1}, {2, 1}}));
  committed[1] = true;
  EXPECT_EQ(next_launch(committed), attempts({{1, 1}, {2, 1}})) << "what was counted stays";
}

TEST_F(JournalTest, ReportedBundlesAreNotBlamed) {
  {
    Journal journal = open();
    journal.begin(sweep, 2, Committed(6));
    hand_out(journal);
    journal.done({BundleId{0}, 0});
    journal.failed({BundleId{2}, 1}, "no reason");
    journal.returned({BundleId{3}, 1});
  }
  EXPECT_EQ(next_launch(), attempts({{1, 1}, {2, 1}}));
}

TEST_F(JournalTest, RanksSeenAliveAreCleared) {
  {
    Journal journal = open();
    journal.begin(sweep, 2, Committed(6));
    hand_out(journal);
    journal.seen_alive(1);
  }
  EXPECT_EQ(next_launch(), attempts({{0, 1}}));
}

TEST_F(JournalTest, ALostRankAloneIsBlamed) {
  {
    Journal journal = open();
    journal.begin(sweep, 2, Committed(6));
    hand_out(journal);
    journal.lost(1);
  }
  EXPECT_EQ(next_launch(), attempts({{2, 1}}));
}

TEST_F(JournalTest, ABundleThatIsSettledBeginsAnew) {
  launch_that_dies();
  {
    Journal journal = open();
    journal.begin(sweep, 2, Committed(6));
    journal.set_aside(BundleId{0}, "given up");
    journal.handed_out({{BundleId{2}, 0}});
    journal.done({BundleId{2}, 0});
  }
  EXPECT_EQ(next_launch(), Attempts());
}

TEST_F(JournalTest, AnotherSweepsAttemptsDoNotCount) {
  launch_that_dies();
  launch_that_dies();
  EXPECT_EQ(open().begin(sweep + 1, 2, Committed(6)), Attempts());
  EXPECT_EQ(next_launch(), Attempts());
}

TEST_F(JournalTest, ATornTailIsRemovedAndTheRestCounts) {
  launch_that_dies();
  const auto whole = std::filesystem::file_size(file());
  for (const char* torn : {"{", "{\"event\":\"launch\",\"sweep\":\"", "\x00\xff garbage"}) {
    std::ofstream(file(), std::ios::app | std::ios::binary) << torn;
    open();
    EXPECT_EQ(std::filesystem::file_size(file()), whole);
  }
  EXPECT_EQ(next_launch(), attempts({{0, 1}, {2, 1}}));
}

TEST_F(JournalTest, EveryCutOfTheFileIsTolerated) {
  launch_that_dies();
  next_launch();
  const std::string text = read_file(file()).value();
  for (std::size_t size = 0; size <= text.size(); ++size) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << text.substr(0, size);
    for (const auto& [bundle, number] : next_launch()) EXPECT_LE(number, 1) << "cut at " << size;
  }
}

TEST_F(JournalTest, ADamagedLineIsPassedOver) {
  std::ofstream(file()) << "no event\n{\"event\":3}\n[]\n\n";
  launch_that_dies();
  EXPECT_EQ(next_launch(), attempts({{0, 1}, {2, 1}}));
}

TEST_F(JournalTest, ABundleThatThePlanDoesNotHaveIsNotBlamed) {
  launch_that_dies();
  EXPECT_EQ(next_launch(Committed(2)), attempts({{0, 1}}));
}

TEST_F(JournalTest, EveryLineIsAJsonObjectWithItsEvent) {
  launch_that_dies();
  std::ifstream in(file());
  std::vector<std::string> events;
  for (std::string line; std::getline(in, line);)
    events.push_back(nlohmann::json::parse(line).at("event").get<std::string>());
  EXPECT_EQ(events, (std::vector<std::string>{"launch", "handed_out", "handed_out", "handed_out",
                                              "handed_out"}));
}

TEST_F(JournalTest, AFolderThatIsNotThereIsAnOutputError) {
  EXPECT_THROW(Journal(folder.path() / "missing"), OutputError);
}

TEST(JournalEvent, HoldsWhatItsLineTells) {
  const auto launch = parse_journal_event(
      R"({"event":"launch","time":"now","sweep":"0a","ranks":2,"died_in":[3,1]})");
  ASSERT_TRUE(launch.has_value());
  EXPECT_EQ(launch->event, "launch");
  EXPECT_EQ(launch->sweep, "0a");
  EXPECT_EQ(launch->died_in, (std::vector<std::int32_t>{3, 1}));
  EXPECT_EQ(launch->bundle, -1);
  EXPECT_EQ(launch->rank, -1);
  const auto failed =
      parse_journal_event(R"({"event":"failed","bundle":7,"rank":1,"reason":"no memory"})");
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->bundle, 7);
  EXPECT_EQ(failed->rank, 1);
  EXPECT_EQ(failed->reason, "no memory");
}

TEST(JournalEvent, OtherLinesAreNone) {
  for (const char* line : {"", "no event", "[]", "{}", R"({"event":3})", R"({"event":"done")",
                           R"({"event":"done","bundle":"7"})"})
    EXPECT_FALSE(parse_journal_event(line).has_value()) << line;
}

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
