#include "scheduler/worker.hpp"

#include <gtest/gtest.h>

#include <semaphore>

#include "comm/local_communicator.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

Message order(Tag tag, Bytes payload = {}) {
  return {0, static_cast<int>(tag), std::move(payload)};
}

/// Lets the worker go on until it reports something.
Message next_report(Communicator& communicator, Worker& worker) {
  for (;;) {
    if (auto report = communicator.try_receive()) return std::move(*report);
    worker.poll();
    worker.wait_for_result(std::chrono::milliseconds(1));
  }
}

StopPolicy stop_when(std::function<bool()> condition) {
  StopPolicy stop;
  stop.stop_requested = std::move(condition);
  return stop;
}

const Executor echo = in_one_step([](const Bytes& payload) { return payload; });

Tag tag_of(const Message& message) { return static_cast<Tag>(message.tag); }

TEST(Worker, GivesSignsOfLifeWhileItComputesAndReturnsWhatItDidNotStart) {
  LocalCommunicator communicator;
  std::binary_semaphore go_on(0);
  const Executor executor = in_one_step([&](const Bytes& payload) {
    go_on.acquire();
    return payload;
  });
  Worker worker(communicator, executor, {});
  EXPECT_EQ(tag_of(next_report(communicator, worker)), Tag::ready);
  worker.obey(order(Tag::assign, to_bytes(ItemNote{5, to_bytes('f')})));
  worker.obey(order(Tag::assign, to_bytes(ItemNote{6})));

  const Message heartbeat = next_report(communicator, worker);
  ASSERT_EQ(tag_of(heartbeat), Tag::heartbeat);
  EXPECT_EQ(from_bytes<Activity>(heartbeat.payload).item, 5);

  worker.obey(order(Tag::withdraw));
  const Message returned = next_report(communicator, worker);
  ASSERT_EQ(tag_of(returned), Tag::returned);
  EXPECT_EQ(from_bytes<ItemNote>(returned.payload).id, 6);

  go_on.release();
  const Message done = next_report(communicator, worker);
  ASSERT_EQ(tag_of(done), Tag::done);
  const auto note = from_bytes<ItemNote>(done.payload);
  EXPECT_EQ(note.id, 5);
  EXPECT_EQ(note.body, to_bytes('f'));
}

TEST(Worker, ReportsAStopOnce) {
  LocalCommunicator communicator;
  Worker worker(communicator, echo, stop_when([] { return true; }));
  EXPECT_EQ(tag_of(next_report(communicator, worker)), Tag::ready);
  EXPECT_EQ(tag_of(next_report(communicator, worker)), Tag::stop);
  worker.poll();
  EXPECT_FALSE(communicator.try_receive().has_value());
}

TEST(Worker, LeavesWithTheOutcomeAndSaysNothingAfterGoodbye) {
  LocalCommunicator communicator;
  bool stop = false;
  Worker worker(communicator, echo, stop_when([&] { return stop; }));
  EXPECT_EQ(tag_of(next_report(communicator, worker)), Tag::ready);
  EXPECT_FALSE(worker.outcome().has_value());
  worker.obey(order(Tag::finish, to_bytes(WorkOutcome{3, 1, 0, true, std::nullopt})));
  EXPECT_EQ(tag_of(next_report(communicator, worker)), Tag::goodbye);
  ASSERT_TRUE(worker.outcome().has_value());
  EXPECT_EQ(worker.outcome()->left(), 2);
  stop = true;
  worker.poll();
  EXPECT_FALSE(communicator.try_receive().has_value());
}

TEST(Worker, LeavesWhenRankZeroFallsSilent) {
  LocalCommunicator communicator;
  StopPolicy stop;
  stop.rank_timeout = Seconds(1.0);
  Worker worker(communicator, echo, stop);
  const auto silent_for = [&](double seconds) {
    for (const auto end = std::chrono::steady_clock::now() + Seconds(seconds);
         std::chrono::steady_clock::now() < end;) {
      worker.poll();
      worker.wait_for_result(std::chrono::milliseconds(20));
    }
  };
  silent_for(0.7);
  worker.obey(order(Tag::pulse));
  EXPECT_NO_THROW(silent_for(0.7));
  EXPECT_THROW(silent_for(2.0), RankLost);
}

TEST(Worker, RefusesWhatIsNoOrder) {
  LocalCommunicator communicator;
  Worker worker(communicator, {}, {});
  EXPECT_THROW(worker.obey(order(Tag::done)), ContractError);
}

}  // namespace
}  // namespace rvsweep
