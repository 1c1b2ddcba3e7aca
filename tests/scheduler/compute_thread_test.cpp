#include "scheduler/compute_thread.hpp"

#include <gtest/gtest.h>

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
  ComputeThread thread([&](const Bytes& payload) {
    threads.insert(std::this_thread::get_id());
    return payload;
  });
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
  ComputeThread thread([](const Bytes& payload) -> Bytes {
    if (payload == one_byte(0)) throw std::runtime_error("not a number in layer 3");
    if (payload == one_byte(1)) throw 1;
    return {};
  });
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
  ComputeThread thread([&](const Bytes&) -> Bytes {
    started.release();
    go_on.acquire();
    return {};
  });
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

/// That with the first item's error nothing else starts, and what the item's result is.
template <class Error>
void expect_halt(const Error& error, ResultKind kind) {
  int executed = 0;
  {
    ComputeThread thread([&](const Bytes&) -> Bytes {
      ++executed;
      throw error;
    });
    thread.submit(0, {});
    thread.submit(1, {});
    const auto results = wait_for_results(thread, 1);
    EXPECT_EQ(results[0].kind, kind);
    EXPECT_EQ(results[0].message, error.what());
    EXPECT_EQ(thread.withdraw(), (std::vector<std::int32_t>{1}));
    thread.submit(2, {});
  }
  EXPECT_EQ(executed, 1);
}

TEST(ComputeThread, AfterAnOutputErrorNothingStarts) {
  expect_halt(OutputError("segment", "no space left"), ResultKind::output_error);
}

TEST(ComputeThread, AfterADeviceErrorNothingStarts) {
  expect_halt(DeviceError("cuda:1 fails"), ResultKind::device_error);
  expect_halt(DeviceMemoryError("cuda:1 has too little memory"), ResultKind::out_of_memory);
}

TEST(ComputeThread, EndsAfterTheItemInProgress) {
  std::binary_semaphore started(0);
  int finished = 0;
  {
    ComputeThread thread([&](const Bytes&) -> Bytes {
      started.release();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ++finished;
      return {};
    });
    for (int id = 0; id < 50; ++id) thread.submit(id, {});
    started.acquire();
  }
  EXPECT_GE(finished, 1);
  EXPECT_LT(finished, 50);
}

}  // namespace
}  // namespace rvsweep
