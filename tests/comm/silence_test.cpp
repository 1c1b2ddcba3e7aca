#include "rvsweep/comm/silence.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

using Time = Silence::Time;

Time at(double seconds) {
  return Time(std::chrono::duration_cast<Time::duration>(Seconds(seconds)));
}

/// Listens from `from` to `to` without a gap.
void listen(Silence& silence, double from, double to) {
  for (double now = from; now <= to; now += 0.25) silence.listened(at(now));
}

TEST(Silence, WithoutALimitNobodyIsLost) {
  Silence silence(2, std::nullopt, at(0));
  listen(silence, 0, 1e5);
  EXPECT_EQ(silence.lost_rank(), std::nullopt);
}

TEST(Silence, ARankThatSaysNothingIsLostAfterTheLimit) {
  Silence silence(3, Seconds(10), at(0));
  listen(silence, 0, 6);
  silence.heard(0);
  silence.heard(2);
  listen(silence, 6, 10);
  EXPECT_EQ(silence.lost_rank(), std::nullopt);
  listen(silence, 10, 10.5);
  EXPECT_EQ(silence.lost_rank(), 1);
  silence.heard(1);
  EXPECT_EQ(silence.lost_rank(), std::nullopt);
}

TEST(Silence, ADismissedRankMayBeSilent) {
  Silence silence(1, Seconds(1), at(0));
  silence.dismiss(0);
  listen(silence, 0, 100);
  EXPECT_EQ(silence.lost_rank(), std::nullopt);
}

TEST(Silence, APauseOfTheListenerIsNotTheOthersSilence) {
  Silence silence(1, Seconds(10), at(0));
  listen(silence, 0, 5);
  silence.listened(at(10000));
  EXPECT_EQ(silence.lost_rank(), std::nullopt);
  listen(silence, 10000, 10006);
  EXPECT_EQ(silence.lost_rank(), 0);
}

TEST(Silence, TheMessageNamesTheRankAndTheLimit) {
  const std::string message = RankLost("rank 3", Seconds(2.5)).what();
  EXPECT_NE(message.find("rank 3"), std::string::npos);
  EXPECT_NE(message.find("2.5 s"), std::string::npos);
}

}  // namespace
}  // namespace rvsweep
