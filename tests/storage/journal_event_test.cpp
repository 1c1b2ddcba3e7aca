#include "storage/journal_event.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

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

}  // namespace
}  // namespace rvsweep
