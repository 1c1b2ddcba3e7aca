// Whole sweeps with a fake executor, run alone and under mpirun.
#include "rvsweep/scheduler/work.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "rvsweep/core/error.hpp"
#include "support/mpi_world.hpp"

namespace rvsweep {
namespace {

using Ids = std::vector<std::int32_t>;

Communicator& world() { return testing::world().communicator(); }
bool is_root() { return world().rank() == 0; }

/// The payload of an item: `size` bytes that follow from its id.
Bytes payload_of(std::int32_t id, std::size_t size) {
  Bytes payload(std::max(size, sizeof id));
  std::memcpy(payload.data(), &id, sizeof id);
  for (std::size_t i = sizeof id; i < payload.size(); ++i)
    payload[i] = static_cast<std::byte>((i * 31 + id) & 255);
  return payload;
}

std::int32_t id_of(const Bytes& payload) {
  std::int32_t id;
  std::memcpy(&id, payload.data(), sizeof id);
  return id;
}

Ids ids_up_to(int count) {
  Ids ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

/// One sweep on all ranks, and what was seen of it.
struct FakeSweep {
  explicit FakeSweep(int items) : ids(ids_up_to(items)) {}

  Ids ids;
  std::size_t payload_size = 4;
  std::function<void(std::int32_t id)> work = [](std::int32_t) {};  // on the compute thread
  WorkEvents events;  // on_done and on_failed are called besides what is recorded here
  StopPolicy stop;

  int max_attempts = 3;

  Ids executed;                                     // here, in order: work() returned
  Ids done, failed;                                 // rank 0; failed for good
  std::vector<std::string> reasons;                 // rank 0; of the last attempts
  int failed_attempts = 0;                          // rank 0
  std::multiset<std::pair<std::int32_t, int>> out;  // rank 0: item and rank, not yet reported
  std::vector<Snapshot> snapshots;                  // rank 0

  WorkOutcome run() {
    WorkSource source;
    source.max_attempts = max_attempts;
    for (std::int32_t id : ids) source.items.push_back({id, static_cast<double>(id * 37 % 11)});
    source.payload = [this](std::int32_t id) { return payload_of(id, payload_size); };
    const Executor executor = in_one_step([this](const Bytes& payload) {
      const std::int32_t id = id_of(payload);
      if (payload != payload_of(id, payload_size)) throw std::runtime_error("payload damaged");
      work(id);
      executed.push_back(id);
      return payload;
    });
    WorkEvents recorded;
    recorded.on_assigned = [this](const std::vector<Assignment>& assignments) {
      if (events.on_assigned) events.on_assigned(assignments);
      for (const auto& [id, rank] : assignments) out.emplace(id, rank);
    };
    recorded.on_done = [this](std::int32_t id, int rank, const Bytes& outcome) {
      EXPECT_EQ(out.erase({id, rank}), 1u) << "item " << id << " was not handed to " << rank;
      EXPECT_TRUE(outcome == payload_of(id, payload_size)) << "outcome of item " << id;
      EXPECT_LT(rank, world().size());
      done.push_back(id);
      if (events.on_done) events.on_done(id, rank, outcome);
    };
    recorded.on_returned = [this](std::int32_t id, int rank) {
      EXPECT_EQ(out.erase({id, rank}), 1u) << "item " << id << " was not handed to " << rank;
    };
    recorded.on_stop_seen = events.on_stop_seen;
    recorded.on_device_error = events.on_device_error;
    recorded.on_failed = [this](const FailedAttempt& attempt) {
      EXPECT_EQ(out.erase({attempt.id, attempt.rank}), 1u);
      EXPECT_EQ(attempt.last, attempt.attempts == max_attempts);
      ++failed_attempts;
      if (!attempt.last) return;
      failed.push_back(attempt.id);
      reasons.push_back(attempt.reason);
    };
    recorded.on_tick = [this](const Snapshot& snapshot) { snapshots.push_back(snapshot); };
    return run_work(world(), is_root() ? &source : nullptr, executor, recorded, stop);
  }
};

/// What all ranks executed, sorted; an item executed twice is there twice.
Ids executed_anywhere(const FakeSweep& sweep) {
  std::ostringstream mine;
  for (std::int32_t id : sweep.executed) mine << id << ' ';
  Ids all;
  for (const std::string& text : world().all_gather(mine.str())) {
    std::istringstream words(text);
    for (std::int32_t id; words >> id;) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  return all;
}

Ids sorted(Ids ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

void expect_complete(const FakeSweep& sweep, const WorkOutcome& outcome) {
  const int items = static_cast<int>(sweep.ids.size());
  EXPECT_EQ(outcome.items, items);
  EXPECT_EQ(outcome.done, items);
  EXPECT_EQ(outcome.failed, 0);
  EXPECT_EQ(outcome.left(), 0);
  EXPECT_FALSE(outcome.stopped_early);
  EXPECT_FALSE(outcome.output_error.has_value());
  EXPECT_EQ(executed_anywhere(sweep), sweep.ids);
  if (is_root()) {
    EXPECT_EQ(sorted(sweep.done), sweep.ids);
  }
  EXPECT_FALSE(world().try_receive().has_value()) << "a message of the sweep is still under way";
  world().barrier();  // before a faster rank sends those of the next one
}

/// Ended early: what was reported is what was executed, each item once, and something is left.
void expect_cut_short(const FakeSweep& sweep, const WorkOutcome& outcome) {
  const Ids executed = executed_anywhere(sweep);
  EXPECT_EQ(outcome.items, static_cast<int>(sweep.ids.size()));
  EXPECT_EQ(outcome.done, static_cast<int>(executed.size()));
  EXPECT_EQ(std::adjacent_find(executed.begin(), executed.end()), executed.end());
  EXPECT_GT(outcome.left(), 0);
  if (is_root()) {
    EXPECT_EQ(sorted(sweep.done), executed);
  }
}

class CompleteSweep : public ::testing::TestWithParam<int> {};

TEST_P(CompleteSweep, ExecutesEveryItemOnce) {
  FakeSweep sweep(GetParam());
  expect_complete(sweep, sweep.run());
}

INSTANTIATE_TEST_SUITE_P(Items, CompleteSweep, ::testing::Values(0, 1, 2, 3, 5, 8, 1000));

TEST(RunSweep, LongPayloadsAndOutcomesArriveWhole) {
  FakeSweep sweep(30);
  sweep.payload_size = std::size_t{1} << 20;
  expect_complete(sweep, sweep.run());
}

TEST(RunSweep, EveryRankComputes) {
  FakeSweep sweep(40 * world().size());
  sweep.work = [](std::int32_t) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  expect_complete(sweep, sweep.run());
  EXPECT_FALSE(sweep.executed.empty());
}

TEST(RunSweep, AFailedItemIsReportedAndTheSweepGoesOn) {
  const auto fails = [](std::int32_t id) { return id * 2654435761u % 7 == 3; };
  FakeSweep sweep(200);
  sweep.work = [&](std::int32_t id) {
    if (fails(id)) throw std::runtime_error("item " + std::to_string(id) + " has no values");
  };
  const WorkOutcome outcome = sweep.run();
  Ids good, bad;
  for (std::int32_t id : sweep.ids) (fails(id) ? bad : good).push_back(id);
  ASSERT_FALSE(bad.empty());
  EXPECT_EQ(executed_anywhere(sweep), good);
  EXPECT_EQ(outcome.done, static_cast<int>(good.size()));
  EXPECT_EQ(outcome.failed, static_cast<int>(bad.size()));
  EXPECT_EQ(outcome.left(), 0);
  EXPECT_FALSE(outcome.stopped_early);
  if (!is_root()) return;
  EXPECT_EQ(sorted(sweep.done), good);
  EXPECT_EQ(sorted(sweep.failed), bad);
  EXPECT_EQ(sweep.failed_attempts, 3 * static_cast<int>(bad.size()));
  for (std::size_t i = 0; i < sweep.failed.size(); ++i)
    EXPECT_EQ(sweep.reasons[i], "item " + std::to_string(sweep.failed[i]) + " has no values");
}

TEST(RunSweep, AnItemThatFailsAtFirstIsDoneInTheEnd) {
  FakeSweep sweep(50);
  std::array<std::atomic<int>, 50> attempts = {};
  sweep.work = [&](std::int32_t id) {
    // Every rank fails once.
    if (id % 10 == 3 && ++attempts[id] == 1) throw std::runtime_error("not now");
  };
  sweep.max_attempts = 1 + world().size();
  expect_complete(sweep, sweep.run());
  if (is_root()) {
    EXPECT_GE(sweep.failed_attempts, 5);
  }
}

TEST(RunSweep, AnItemIsRecordedBeforeItGoesOut) {
  FakeSweep sweep(20);
  sweep.events.on_assigned = [](const std::vector<Assignment>&) {
    throw OutputError("journal", "no space left on device");
  };
  const WorkOutcome outcome = sweep.run();
  EXPECT_EQ(outcome.output_error, "journal: no space left on device");
  EXPECT_EQ(outcome.left(), 20);
  EXPECT_TRUE(sweep.executed.empty());
}

TEST(RunSweep, EveryRankThatSeesAStopSaysSo) {
  FakeSweep sweep(100000);
  std::set<int> seen;
  std::atomic<bool> stop = false;
  sweep.work = [&](std::int32_t) { stop = true; };
  sweep.stop.stop_requested = [&] { return stop.load(); };
  sweep.events.on_stop_seen = [&](int rank) { seen.insert(rank); };
  const WorkOutcome outcome = sweep.run();
  expect_cut_short(sweep, outcome);
  if (is_root()) {
    EXPECT_FALSE(seen.empty());
    EXPECT_TRUE(sweep.out.empty()) << "every item handed out was reported or given back";
  }
}

TEST(RunSweep, WithARankLimitAQuietSweepGoesOn) {
  FakeSweep sweep(world().size());
  sweep.stop.rank_timeout = Seconds(2.5);
  sweep.work = [](std::int32_t) { std::this_thread::sleep_for(std::chrono::seconds(3)); };
  expect_complete(sweep, sweep.run());
}

TEST(RunSweep, RankZeroStopsInTheMiddleAndTheRestCanBeRunLater) {
  FakeSweep sweep(300);
  std::atomic<bool> stop = false;
  sweep.stop.stop_requested = [&] { return stop.load(); };
  sweep.events.on_done = [&](std::int32_t, int, const Bytes&) { stop = sweep.done.size() >= 50; };
  const WorkOutcome outcome = sweep.run();
  EXPECT_TRUE(outcome.stopped_early);
  EXPECT_GE(outcome.done, 50);
  EXPECT_LE(outcome.done, 50 + 64 * 2 + 2 * world().size());
  expect_cut_short(sweep, outcome);

  FakeSweep rest(0);
  const Ids executed = executed_anywhere(sweep);
  const Ids all = ids_up_to(300);
  std::set_difference(all.begin(), all.end(), executed.begin(), executed.end(),
                      std::back_inserter(rest.ids));
  expect_complete(rest, rest.run());
}

TEST(RunSweep, AStopThatOnlyAWorkerSeesStopsAll) {
  FakeSweep sweep(100000);
  std::atomic<int> executed_here = 0;
  sweep.work = [&](std::int32_t) { ++executed_here; };
  const bool last = world().rank() == world().size() - 1;
  sweep.stop.stop_requested = [&] { return last && executed_here >= 3; };
  const WorkOutcome outcome = sweep.run();
  EXPECT_TRUE(outcome.stopped_early);
  expect_cut_short(sweep, outcome);
}

TEST(RunSweep, WhatIsBeingComputedAtAStopIsFinished) {
  FakeSweep sweep(100);
  std::atomic<bool> started = false;
  sweep.work = [&](std::int32_t) {
    started = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  };
  sweep.stop.stop_requested = [&] { return started.load(); };
  const WorkOutcome outcome = sweep.run();
  expect_cut_short(sweep, outcome);
  EXPECT_GE(outcome.done, 1);
  // Nobody starts the second item that he holds.
  EXPECT_LE(outcome.done, world().size());
}

TEST(RunSweep, NoTimeLeftStartsNothing) {
  FakeSweep sweep(10);
  sweep.stop.max_time = std::chrono::seconds(0);
  const WorkOutcome outcome = sweep.run();
  EXPECT_TRUE(outcome.stopped_early);
  EXPECT_EQ(outcome.left(), 10);
  EXPECT_TRUE(sweep.executed.empty());
}

TEST(RunSweep, AStopAfterTheLastItemIsNoEarlyStop) {
  FakeSweep sweep(5);
  sweep.stop.stop_requested = [&] { return sweep.done.size() == 5; };
  expect_complete(sweep, sweep.run());
}

TEST(RunSweep, AnOutputErrorEndsTheSweepOnEveryRank) {
  FakeSweep sweep(100000);
  sweep.work = [](std::int32_t id) {
    if (id % 1000 == 40) throw OutputError("segments", "no space left on device");
  };
  const WorkOutcome outcome = sweep.run();
  EXPECT_EQ(outcome.output_error, "segments: no space left on device");
  EXPECT_FALSE(outcome.stopped_early);
  EXPECT_EQ(outcome.failed, 0);
  expect_cut_short(sweep, outcome);
}

TEST(RunSweep, WhatABrokenRankHeldIsDoneByTheOthers) {
  if (world().size() == 1) GTEST_SKIP() << "nobody else: see the next one";
  for (const int broken : {0, world().size() - 1}) {
    FakeSweep sweep(300);
    int executed_here = 0;
    std::set<int> told;
    sweep.work = [&](std::int32_t) {
      if (world().rank() == broken && ++executed_here > 3)
        throw DeviceError("cuda:0 of node7 fails (CUDA error: an illegal memory access)");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    sweep.events.on_device_error = [&](std::int32_t, int rank, const std::string& reason) {
      EXPECT_THAT(reason, ::testing::HasSubstr("cuda:0 of node7 fails"));
      EXPECT_TRUE(told.insert(rank).second) << "a broken rank was given another item";
    };
    const WorkOutcome outcome = sweep.run();
    EXPECT_FALSE(outcome.device_error.has_value());
    EXPECT_LE(sweep.executed.size(), world().rank() == broken ? 3u : 300u);
    if (is_root()) {
      EXPECT_EQ(told, std::set<int>{broken});
      EXPECT_EQ(sweep.failed_attempts, 0);
      EXPECT_TRUE(sweep.out.empty()) << "every item handed out was reported or given back";
    }
    expect_complete(sweep, outcome);
  }
}

TEST(RunSweep, WithoutAWorkingRankTheSweepEndsWithTheDevicesWords) {
  FakeSweep sweep(100);
  int executed_here = 0;
  sweep.work = [&](std::int32_t) {
    if (++executed_here > 2) throw DeviceError("fails on every rank");
  };
  const WorkOutcome outcome = sweep.run();
  EXPECT_EQ(outcome.device_error, "fails on every rank");
  EXPECT_FALSE(outcome.stopped_early);
  EXPECT_EQ(outcome.failed, 0);
  EXPECT_EQ(outcome.done, 2 * world().size());
  expect_cut_short(sweep, outcome);
  if (is_root()) {
    EXPECT_EQ(sweep.failed_attempts, 0);
    EXPECT_TRUE(sweep.out.empty());
  }
}

TEST(RunSweep, TooLittleMemoryOnOneRankEndsTheSweepOnAll) {
  FakeSweep sweep(100000);
  sweep.work = [](std::int32_t id) {
    if (id % 1000 == 40) throw DeviceMemoryError("too little memory: set sweep.bundle_rows lower");
  };
  const WorkOutcome outcome = sweep.run();
  EXPECT_EQ(outcome.device_error, "too little memory: set sweep.bundle_rows lower");
  EXPECT_FALSE(outcome.stopped_early);
  EXPECT_EQ(outcome.failed, 0);
  expect_cut_short(sweep, outcome);
  if (is_root()) {
    EXPECT_EQ(sweep.failed_attempts, 0);
    EXPECT_TRUE(sweep.out.empty());
  }
}

TEST(RunSweep, AnOutputErrorOfAnEventEndsTheSweepToo) {
  FakeSweep sweep(100000);
  sweep.events.on_done = [](std::int32_t, int, const Bytes&) {
    throw OutputError("status.json", "read-only file system");
  };
  const WorkOutcome outcome = sweep.run();
  EXPECT_EQ(outcome.output_error, "status.json: read-only file system");
  expect_cut_short(sweep, outcome);
}

TEST(RunSweep, TheLastSnapshotShowsTheEnd) {
  FakeSweep sweep(50);
  expect_complete(sweep, sweep.run());
  if (!is_root()) return;
  ASSERT_GE(sweep.snapshots.size(), 2u) << "one at the start, one at the end";
  EXPECT_EQ(sweep.snapshots.front().done, 0);
  const Snapshot& end = sweep.snapshots.back();
  EXPECT_EQ(end.items, 50);
  EXPECT_EQ(end.done, 50);
  EXPECT_EQ(end.held + end.pending, 0);
  ASSERT_EQ(end.ranks.size(), static_cast<std::size_t>(world().size()));
  int done_by_ranks = 0;
  for (const RankSnapshot& rank : end.ranks) done_by_ranks += rank.items_done;
  EXPECT_EQ(done_by_ranks, 50);
}

TEST(RunSweep, AnUnexpectedExceptionOfAnEventLeavesTheSweep) {
  if (world().size() > 1) GTEST_SKIP() << "the world would end: throwing_rank.cpp shows it";
  FakeSweep sweep(10);
  sweep.events.on_done = [](std::int32_t, int, const Bytes&) { throw std::logic_error("a bug"); };
  EXPECT_THROW(sweep.run(), std::logic_error);
  while (world().try_receive()) continue;  // what was under way
}

TEST(RunSweep, OnlyRankZeroGivesTheWork) {
  WorkSource source;
  EXPECT_THROW(run_work(world(), is_root() ? nullptr : &source, {}, {}, {}), ContractError);
}

}  // namespace
}  // namespace rvsweep
