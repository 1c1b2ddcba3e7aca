#include "scheduler/compute_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <set>
#include <stdexcept>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

Bytes one_byte(int value) { return {static_cast<std::byte>(value)}; }

std::vector<ComputeResult> wait_for_results(ComputeThread& thread, std::size_t count) {
  std::vector<ComputeResult> results;
  while (results.size() < count) {
    thread.wait_for_result(std::chrono::seconds(1));
    for (ComputeResult& result : thread.take_results()) results.push_back(std::move(result));
  }
  return results;
}

TEST(ComputeThread, ComputesInOrderOnOneThreadOfItsOwn) {
  std::set<std::thread::id> threads;
  ComputeThread thread(in_one_step([&](const Bytes& payload) {
    threads.insert(std::this_thread::get_id());
    return payload;
  }));
  for (int id = 0; id < 20; ++id) thread.submit(id, one_byte(100 + id));
  const auto results = wait_for_results(thread, 20);
  for (int id = 0; id < 20; ++id) {
    EXPECT_EQ(results[id].id, id);
    EXPECT_EQ(results[id].kind, ResultKind::done);
    EXPECT_EQ(results[id].outcome, one_byte(100 + id));
  }
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
  EXPECT_TRUE(thread.take_results().empty());
}

TEST(ComputeThread, AnExceptionIsTheItemsResult) {
  ComputeThread thread(in_one_step([](const Bytes& payload) -> Bytes {
    if (payload == one_byte(0)) throw std::runtime_error("not a number in layer 3");
    if (payload == one_byte(1)) throw 1;
    return {};
  }));
  for (int id = 0; id < 3; ++id) thread.submit(id, one_byte(id));
  const auto results = wait_for_results(thread, 3);
  EXPECT_EQ(results[0].kind, ResultKind::failed);
  EXPECT_EQ(results[0].message, "not a number in layer 3");
  EXPECT_EQ(results[1].kind, ResultKind::failed);
  EXPECT_FALSE(results[1].message.empty());
  EXPECT_EQ(results[2].kind, ResultKind::done);
}

TEST(ComputeThread, WhatHasNotStartedCanBeTakenBack) {
  std::binary_semaphore started(0), go_on(0);
  ComputeThread thread(in_one_step([&](const Bytes&) -> Bytes {
    started.release();
    go_on.acquire();
    return {};
  }));
  EXPECT_FALSE(thread.activity().item.has_value());
  for (int id = 5; id < 8; ++id) thread.submit(id, {});
  started.acquire();
  EXPECT_EQ(thread.activity().item, 5);
  EXPECT_EQ(thread.withdraw(), (std::vector<std::int32_t>{6, 7}));
  EXPECT_TRUE(thread.withdraw().empty());
  go_on.release();
  const auto results = wait_for_results(thread, 1);
  EXPECT_EQ(results[0].id, 5);
  EXPECT_FALSE(thread.activity().item.has_value());
}

/// That with the first item's error, thrown as it is computed or committed, nothing else starts,
/// and what the item's result is.
template <class Error>
void expect_halt(const Error& error, ResultKind kind) {
  for (const bool in_commit : {false, true}) {
    std::atomic<int> executed = 0;
    {
      std::binary_semaphore go_on(0);
      ComputeThread thread([&](const Bytes&) -> Commit {
        if (++executed > 1) go_on.acquire();  // computed while the first is committed
        const auto fail = [&]() -> Bytes { throw error; };
        if (!in_commit) fail();
        return fail;
      });
      for (int id = 0; id < (in_commit ? 3 : 2); ++id) thread.submit(id, {});
      const auto results = wait_for_results(thread, 1);
      EXPECT_EQ(results[0].id, 0);
      EXPECT_EQ(results[0].kind, kind);
      EXPECT_EQ(results[0].message, error.what());
      go_on.release();
      EXPECT_FALSE(thread.withdraw().empty());
      thread.submit(9, {});
    }
    EXPECT_LE(executed, in_commit ? 2 : 1);
  }
}

TEST(ComputeThread, AfterAnOutputErrorNothingStarts) {
  expect_halt(OutputError("segment", "no space left"), ResultKind::output_error);
}

TEST(ComputeThread, AfterADeviceErrorNothingStarts) {
  expect_halt(DeviceError("cuda:1 fails"), ResultKind::device_error);
  expect_halt(DeviceMemoryError("cuda:1 has too little memory"), ResultKind::out_of_memory);
}

/// Items whose commits wait to be let go.
struct HeldCommits {
  std::atomic<int> computed = 0, committed = 0;
  std::counting_semaphore<> begun{0}, go_on{0};
  std::set<std::thread::id> compute_threads, commit_threads;

  Executor executor() {
    return [this](const Bytes& payload) -> Commit {
      compute_threads.insert(std::this_thread::get_id());
      ++computed;
      return [this, payload] {
        commit_threads.insert(std::this_thread::get_id());
        begun.release();
        go_on.acquire();
        ++committed;
        return payload;
      };
    };
  }
  bool computes(int items) const {
    for (int tries = 0; computed < items && tries < 5000; ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return computed >= items;
  }
};

TEST(ComputeThread, ComputesTheNextItemWhileOneIsCommitted) {
  HeldCommits items;
  ComputeThread thread(items.executor());
  for (int id = 0; id < 5; ++id) thread.submit(id, one_byte(id));
  items.begun.acquire();
  EXPECT_TRUE(items.computes(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(items.computed, 2) << "a computed item waits, and no other one starts";
  EXPECT_TRUE(thread.take_results().empty()) << "nothing is done before its commit has ended";
  items.go_on.release(5);
  const auto results = wait_for_results(thread, 5);
  for (int id = 0; id < 5; ++id) {
    EXPECT_EQ(results[id].id, id);
    EXPECT_EQ(results[id].outcome, one_byte(id));
  }
  EXPECT_EQ(items.compute_threads.size(), 1u);
  EXPECT_EQ(items.commit_threads.size(), 1u);
  EXPECT_NE(items.compute_threads, items.commit_threads);
}

TEST(ComputeThread, TellsTheItemInItsCommitWhereNoneIsComputed) {
  HeldCommits items;
  ComputeThread thread(items.executor());
  thread.submit(3, {});
  items.begun.acquire();
  EXPECT_EQ(thread.activity().item, 3);
  items.go_on.release();
  wait_for_results(thread, 1);
  EXPECT_FALSE(thread.activity().item.has_value());
}

TEST(ComputeThread, WhatIsComputedIsCommittedBeforeItEnds) {
  HeldCommits items;
  {
    ComputeThread thread(items.executor());
    for (int id = 0; id < 2; ++id) thread.submit(id, {});
    EXPECT_TRUE(items.computes(2));
    items.go_on.release(2);
  }
  EXPECT_EQ(items.committed, 2);
}

TEST(ComputeThread, InOneStepNothingIsComputedBesideACommit) {
  std::atomic<int> inside = 0, most = 0;
  ComputeThread thread(in_one_step([&](const Bytes& payload) {
    most = std::max<int>(most, ++inside);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --inside;
    return payload;
  }));
  for (int id = 0; id < 10; ++id) thread.submit(id, one_byte(id));
  for (const ComputeResult& result : wait_for_results(thread, 10))
    EXPECT_EQ(result.outcome, one_byte(result.id));
  EXPECT_EQ(most, 1);
}

TEST(ComputeThread, EndsAfterTheItemInProgress) {
  std::binary_semaphore started(0);
  int finished = 0;
  {
    ComputeThread thread(in_one_step([&](const Bytes&) -> Bytes {
      started.release();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ++finished;
      return {};
    }));
    for (int id = 0; id < 50; ++id) thread.submit(id, {});
    started.acquire();
  }
  EXPECT_GE(finished, 1);
  EXPECT_LT(finished, 50);
}

}  // namespace
}  // namespace rvsweep
