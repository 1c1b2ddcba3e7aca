#include "scheduler/coordinator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::vector<WorkItem> items_of_equal_cost(int count) {
  std::vector<WorkItem> items;
  for (int id = 0; id < count; ++id) items.push_back({id, 1.0});
  return items;
}

Coordinator with_ready_ranks(const std::vector<WorkItem>& items, int ranks, int max_attempts = 3) {
  Coordinator coordinator(items, ranks, max_attempts);
  for (int rank = 0; rank < ranks; ++rank) coordinator.rank_ready(rank, 0);
  return coordinator;
}

std::vector<std::int32_t> ids_of(const std::vector<Assignment>& assignments) {
  std::vector<std::int32_t> ids;
  for (const Assignment& assignment : assignments) ids.push_back(assignment.id);
  return ids;
}

std::map<int, int> items_per_rank(const std::vector<Assignment>& assignments) {
  std::map<int, int> counts;
  for (const Assignment& assignment : assignments) ++counts[assignment.rank];
  return counts;
}

TEST(Coordinator, LargestFirstAndTiesById) {
  Coordinator coordinator =
      with_ready_ranks({{5, 1.0}, {3, 2.0}, {9, 7.5}, {1, 2.0}, {4, 0.0}, {0, -1.0}}, 1);
  std::vector<std::int32_t> order;
  std::size_t reported = 0;
  while (!coordinator.finished()) {
    for (const Assignment& next : coordinator.assign(0)) order.push_back(next.id);
    ASSERT_LT(reported, order.size());
    coordinator.item_done(order[reported++], 0, 0);
  }
  EXPECT_EQ(order, (std::vector<std::int32_t>{9, 1, 3, 5, 4, 0}));
}

TEST(Coordinator, ARankGetsNothingBeforeItIsReady) {
  Coordinator coordinator(items_of_equal_cost(10), 2, 3);
  EXPECT_TRUE(coordinator.assign(0).empty());
  coordinator.rank_ready(1, 0);
  for (const Assignment& assignment : coordinator.assign(0)) EXPECT_EQ(assignment.rank, 1);
}

TEST(Coordinator, ARankHoldsOneItemAndTheNext) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(100), 3);
  EXPECT_EQ(items_per_rank(coordinator.assign(0)), (std::map<int, int>{{0, 2}, {1, 2}, {2, 2}}));
  EXPECT_TRUE(coordinator.assign(0).empty());
  coordinator.item_done(0, 0, 0);
  EXPECT_EQ(items_per_rank(coordinator.assign(0)), (std::map<int, int>{{0, 1}}));
}

TEST(Coordinator, IdleRanksComeBeforeRanksThatWantTheirNext) {
  // 4 items, 4 ranks: a rank that took its next at once would leave another one without work.
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(4), 4);
  EXPECT_EQ(items_per_rank(coordinator.assign(0)),
            (std::map<int, int>{{0, 1}, {1, 1}, {2, 1}, {3, 1}}));
}

TEST(Coordinator, TheLastItemsAreKeptForIdleRanks) {
  // Two ranks each hold one, two items are left: whoever is idle first gets them.
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(4), 2);
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{0, 1}));
  coordinator.item_done(1, 1, 0);
  const auto next = coordinator.assign(0);
  ASSERT_EQ(ids_of(next), (std::vector<std::int32_t>{2}));
  EXPECT_EQ(next[0].rank, 1);
  coordinator.item_done(2, 1, 0);
  const auto last = coordinator.assign(0);
  ASSERT_EQ(ids_of(last), (std::vector<std::int32_t>{3}));
  EXPECT_EQ(last[0].rank, 1) << "rank 0 still computes item 0";
}

TEST(Coordinator, RandomReportsLoseNothingAndRepeatNothing) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const int ranks = 1 + static_cast<int>(random() % 6);
    const int count = static_cast<int>(random() % 60);
    std::vector<WorkItem> items;
    for (int id = 0; id < count; ++id) items.push_back({id, static_cast<double>(random() % 5)});
    Coordinator coordinator = with_ready_ranks(items, ranks, /*max_attempts=*/1);
    std::map<std::int32_t, int> handed_out;
    std::vector<Assignment> held;
    int failed = 0;
    while (!coordinator.finished()) {
      for (const Assignment& next : coordinator.assign(0)) {
        ++handed_out[next.id];
        held.push_back(next);
      }
      const Snapshot state = coordinator.snapshot(0);
      EXPECT_EQ(state.held, static_cast<int>(held.size()));
      EXPECT_EQ(state.done + state.failed + state.held + state.pending, count);
      for (const auto& [rank, number] : items_per_rank(held)) EXPECT_LE(number, 2) << rank;
      if (state.pending > 0) {
        EXPECT_EQ(items_per_rank(held).size(), static_cast<std::size_t>(ranks)) << "idle rank";
      }
      ASSERT_FALSE(held.empty()) << "nobody works, yet the sweep is not finished";
      const std::size_t index = random() % held.size();
      const Assignment report = held[index];
      held.erase(held.begin() + index);
      if (random() % 10 == 0) {
        EXPECT_EQ(coordinator.item_failed(report.id, report.rank, 0), 1);
        ++failed;
      } else {
        EXPECT_TRUE(coordinator.item_done(report.id, report.rank, 0));
      }
    }
    EXPECT_EQ(handed_out.size(), static_cast<std::size_t>(count));
    for (const auto& [id, times] : handed_out) EXPECT_EQ(times, 1) << "item " << id;
    const Snapshot end = coordinator.snapshot(0);
    EXPECT_EQ(end.done, count - failed);
    EXPECT_EQ(end.failed, failed);
  }
}

TEST(Coordinator, ARepeatedOrLateReportChangesNothing) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(10), 2);
  coordinator.assign(0);
  EXPECT_TRUE(coordinator.item_done(0, 0, 0));
  EXPECT_FALSE(coordinator.item_done(0, 0, 0));
  EXPECT_FALSE(coordinator.item_done(0, 1, 0)) << "from a rank that never held it";
  EXPECT_EQ(coordinator.item_failed(0, 0, 0), std::nullopt);
  coordinator.item_returned(0, 0, 0);
  const Snapshot state = coordinator.snapshot(0);
  EXPECT_EQ(state.done, 1);
  EXPECT_EQ(state.failed, 0);
  EXPECT_EQ(state.held, 3);
  EXPECT_EQ(state.pending, 6);
  EXPECT_EQ(state.ranks[0].items_done, 1);
  EXPECT_EQ(state.ranks[1].items_done, 0);
}

TEST(Coordinator, AResultOfAnItemThatWentBackIsTakenAndNotComputedAgain) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(3), 1);
  ASSERT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{0, 1}));
  coordinator.item_returned(1, 0, 0);
  EXPECT_TRUE(coordinator.item_done(1, 0, 0));
  EXPECT_TRUE(coordinator.item_done(0, 0, 0));
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{2}));
}

TEST(Coordinator, AReturnedItemIsHandedOutAgain) {
  Coordinator coordinator = with_ready_ranks({{0, 1.0}, {1, 1.0}}, 2);
  coordinator.assign(0);
  coordinator.item_done(1, 1, 0);
  coordinator.item_returned(0, 0, 0);
  coordinator.item_returned(0, 0, 0);
  EXPECT_FALSE(coordinator.finished());
  EXPECT_EQ(coordinator.snapshot(0).pending, 1);
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{0}));
}

TEST(Coordinator, AFailedItemIsTriedAgainAfterAllOthersUntilItHasNoAttemptLeft) {
  Coordinator coordinator = with_ready_ranks({{0, 9.0}, {1, 2.0}, {2, 1.0}}, 1);
  std::vector<std::int32_t> order;
  std::size_t reported = 0;
  int failures = 0;
  while (!coordinator.finished()) {
    for (const Assignment& next : coordinator.assign(0)) order.push_back(next.id);
    ASSERT_LT(reported, order.size());
    const std::int32_t id = order[reported++];
    if (id == 0) {
      EXPECT_EQ(coordinator.item_failed(0, 0, 0), ++failures);
    } else {
      EXPECT_TRUE(coordinator.item_done(id, 0, 0));
    }
  }
  EXPECT_EQ(order, (std::vector<std::int32_t>{0, 1, 2, 0, 0}));
  EXPECT_EQ(coordinator.snapshot(0).failed, 1);
  EXPECT_EQ(coordinator.snapshot(0).done, 2);
  EXPECT_EQ(coordinator.snapshot(0).ranks[0].items_done, 2);
}

TEST(Coordinator, EarlierAttemptsDecideTheOrderBeforeCosts) {
  Coordinator coordinator =
      with_ready_ranks({{0, 9.0, 2}, {1, 1.0, 0}, {2, 5.0, 1}, {3, 7.0, 1}, {4, 2.0, 0}}, 1, 9);
  std::vector<std::int32_t> order;
  std::size_t reported = 0;
  while (!coordinator.finished()) {
    for (const Assignment& next : coordinator.assign(0)) order.push_back(next.id);
    ASSERT_LT(reported, order.size());
    coordinator.item_done(order[reported++], 0, 0);
  }
  EXPECT_EQ(order, (std::vector<std::int32_t>{4, 1, 3, 2, 0}));
}

TEST(Coordinator, TheLastAttemptRunsAlone) {
  // Items 0 and 1 have one attempt left, items 2 and 3 all of them.
  Coordinator coordinator = with_ready_ranks({{0, 9.0, 2}, {1, 8.0, 2}, {2, 1.0}, {3, 1.0}}, 2);
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{2, 3}));
  coordinator.item_done(2, 0, 0);
  EXPECT_TRUE(coordinator.assign(0).empty()) << "rank 1 still computes item 3";
  coordinator.item_done(3, 1, 0);
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{0}));
  EXPECT_TRUE(coordinator.assign(0).empty()) << "nothing runs beside it";
  EXPECT_EQ(coordinator.item_failed(0, 0, 0), 3);
  EXPECT_EQ(ids_of(coordinator.assign(0)), (std::vector<std::int32_t>{1}));
  coordinator.item_done(1, 0, 0);
  EXPECT_TRUE(coordinator.finished());
  EXPECT_EQ(coordinator.snapshot(0).failed, 1);
}

TEST(Coordinator, AFirstAttemptThatIsTheLastNeedNotRunAlone) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(4), 2, /*max_attempts=*/1);
  EXPECT_EQ(coordinator.assign(0).size(), 2u);
}

TEST(Coordinator, ALateFailureOfAnItemThatAnotherRankHoldsChangesNothing) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(2), 2);
  coordinator.assign(0);
  coordinator.item_returned(0, 0, 0);
  coordinator.item_done(1, 1, 0);
  EXPECT_EQ(coordinator.assign(0).size(), 1u);
  EXPECT_EQ(coordinator.item_failed(0, 1, 0), std::nullopt);
  EXPECT_FALSE(coordinator.finished());
}

TEST(Coordinator, ABrokenRankGetsNothingMoreAndItsItemsGoToOthers) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(6), 2);
  EXPECT_EQ(items_per_rank(coordinator.assign(0)), (std::map<int, int>{{0, 2}, {1, 2}}));
  coordinator.rank_broken(0, 0, 0);
  EXPECT_TRUE(coordinator.holds_items(0)) << "its next, until it is given back";
  coordinator.item_returned(2, 0, 0);
  EXPECT_EQ(coordinator.ranks_left(), 1);
  EXPECT_FALSE(coordinator.snapshot(0).ranks[0].ready);
  std::vector<std::int32_t> done;
  for (std::vector<std::int32_t> held{1, 3}; !coordinator.finished();) {
    coordinator.item_done(held.front(), 1, 0);
    done.push_back(held.front());
    held.erase(held.begin());
    for (const Assignment& next : coordinator.assign(0)) {
      EXPECT_EQ(next.rank, 1);
      held.push_back(next.id);
    }
    ASSERT_EQ(held.empty(), coordinator.finished());
  }
  EXPECT_EQ(done, (std::vector<std::int32_t>{1, 3, 2, 4, 5, 0}))
      << "what a device broke at comes last";
  EXPECT_EQ(coordinator.snapshot(0).failed, 0);
}

TEST(Coordinator, ABrokenDeviceIsNoAttemptOfItsItem) {
  Coordinator coordinator = with_ready_ranks({{0, 1.0, 1}}, 3);
  for (const int rank : {0, 1}) {
    ASSERT_EQ(coordinator.assign(0).front().rank, rank);
    coordinator.rank_broken(rank, 0, 0);
  }
  ASSERT_EQ(coordinator.assign(0).front().rank, 2);
  EXPECT_EQ(coordinator.item_failed(0, 2, 0), 2);
  EXPECT_FALSE(coordinator.finished());
}

TEST(Coordinator, WithoutAWorkingRankTheWorkIsOver) {
  Coordinator coordinator(items_of_equal_cost(6), 2, 3);
  coordinator.rank_ready(0, 0);
  coordinator.assign(0);
  coordinator.rank_broken(0, 0, 0);
  coordinator.item_returned(1, 0, 0);
  EXPECT_FALSE(coordinator.finished()) << "rank 1 may still get ready";
  coordinator.rank_ready(1, 0);
  coordinator.assign(0);
  coordinator.rank_broken(1, 1, 0);
  EXPECT_FALSE(coordinator.finished()) << "rank 1 holds its next";
  coordinator.item_returned(2, 1, 0);
  EXPECT_TRUE(coordinator.finished());
  EXPECT_EQ(coordinator.snapshot(0).pending, 6);
}

TEST(Coordinator, StoppingDrains) {
  Coordinator coordinator = with_ready_ranks(items_of_equal_cost(20), 2);
  coordinator.assign(0);
  coordinator.stop();
  EXPECT_TRUE(coordinator.assign(0).empty());
  EXPECT_FALSE(coordinator.finished());
  EXPECT_TRUE(coordinator.holds_items(0));
  coordinator.item_done(0, 0, 0);
  coordinator.item_done(1, 1, 0);
  coordinator.item_returned(2, 0, 0);
  EXPECT_FALSE(coordinator.holds_items(0));
  EXPECT_FALSE(coordinator.finished()) << "rank 1 still holds an item";
  coordinator.item_done(3, 1, 0);
  EXPECT_TRUE(coordinator.finished());
  EXPECT_TRUE(coordinator.assign(0).empty());
  const Snapshot state = coordinator.snapshot(0);
  EXPECT_EQ(state.done, 3);
  EXPECT_EQ(state.pending, 17);
  EXPECT_TRUE(state.stopping);
}

TEST(Coordinator, NoItemsIsASweepToo) { EXPECT_TRUE(Coordinator({}, 2, 3).finished()); }

TEST(Coordinator, TheSnapshotSaysWhatRanksDoAndWhenTheyWereHeard) {
  Coordinator coordinator({{7, 3.0}, {8, 2.0}, {9, 1.0}, {10, 1.0}, {11, 1.0}}, 2, 3);
  coordinator.rank_ready(1, 2.0);
  coordinator.assign(2.0);
  Snapshot state = coordinator.snapshot(5.0);
  EXPECT_FALSE(state.ranks[0].ready);
  EXPECT_DOUBLE_EQ(state.ranks[0].seconds_since_sign_of_life, 5.0);
  EXPECT_FALSE(state.ranks[0].activity.item.has_value());
  EXPECT_TRUE(state.ranks[1].ready);
  EXPECT_EQ(state.ranks[1].activity.item, 7);
  EXPECT_DOUBLE_EQ(state.ranks[1].activity.seconds, 3.0);
  EXPECT_DOUBLE_EQ(state.ranks[1].seconds_since_sign_of_life, 3.0);

  coordinator.heartbeat(1, {7, 2.5}, 6.0);
  state = coordinator.snapshot(6.5);
  EXPECT_DOUBLE_EQ(state.ranks[1].activity.seconds, 3.0);
  EXPECT_DOUBLE_EQ(state.ranks[1].seconds_since_sign_of_life, 0.5);

  coordinator.item_done(7, 1, 8.0);
  state = coordinator.snapshot(8.25);
  EXPECT_EQ(state.ranks[1].items_done, 1);
  EXPECT_EQ(state.ranks[1].activity.item, 8);
  EXPECT_DOUBLE_EQ(state.ranks[1].activity.seconds, 0.25);
  coordinator.item_done(8, 1, 9.0);
  EXPECT_FALSE(coordinator.snapshot(9.0).ranks[1].activity.item.has_value());
}

TEST(Coordinator, BrokenContractsAreNamed) {
  EXPECT_THROW(Coordinator({{1, 1.0}, {1, 2.0}}, 1, 3), ContractError);
  EXPECT_THROW(Coordinator({{-1, 1.0}}, 1, 3), ContractError);
  EXPECT_THROW(Coordinator({{1, std::numeric_limits<double>::quiet_NaN()}}, 1, 3), ContractError);
  EXPECT_THROW(Coordinator({}, 0, 3), ContractError);
  EXPECT_THROW(Coordinator({{1, 1.0, 3}}, 1, 3), ContractError) << "no attempt left";
  Coordinator coordinator = with_ready_ranks({{0, 1.0}}, 1);
  EXPECT_THROW(coordinator.item_done(5, 0, 0), ContractError);
  EXPECT_THROW(coordinator.item_done(0, 1, 0), ContractError);
  EXPECT_THROW(coordinator.rank_ready(-1, 0), ContractError);
}

}  // namespace
}  // namespace rvsweep
