// Run alone (a world without MPI) and under mpirun.
#include "rvsweep/comm/communicator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "rvsweep/core/error.hpp"
#include "support/mpi_world.hpp"

namespace rvsweep {
namespace {

Communicator& world() { return testing::world().communicator(); }

Bytes bytes_of(const std::string& text) {
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

std::string text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Message receive() {
  for (;;) {
    if (auto message = world().try_receive()) return std::move(*message);
    std::this_thread::yield();
  }
}

TEST(Communicator, RankLiesInTheWorld) {
  EXPECT_GE(world().rank(), 0);
  EXPECT_LT(world().rank(), world().size());
}

TEST(Communicator, NothingToReceiveDoesNotBlock) {
  world().barrier();
  EXPECT_FALSE(world().try_receive().has_value());
  world().barrier();
}

// Sizes on both sides of MPI's limit between short and long messages, which travel differently.
std::size_t size_of_message(int index) { return std::size_t{1} << (index * 5 % 21); }

std::string text_of_message(int sender, int index) {
  std::string text = std::to_string(sender) + ":" + std::to_string(index) + ":";
  text.resize(std::max(text.size(), size_of_message(index)), static_cast<char>('a' + index % 26));
  return text;
}

TEST(Communicator, MessagesOfOneSenderArriveWholeAndInOrder) {
  constexpr int messages = 60;
  for (int index = 0; index < messages; ++index)
    for (int to = 0; to < world().size(); ++to)
      world().send(to, index, bytes_of(text_of_message(world().rank(), index)));
  std::map<int, int> received;  // by sender
  for (int i = 0; i < messages * world().size(); ++i) {
    const Message message = receive();
    EXPECT_EQ(message.tag, received[message.from]++) << "from rank " << message.from;
    EXPECT_TRUE(text_of(message.payload) == text_of_message(message.from, message.tag))
        << "message " << message.tag << " of rank " << message.from;
  }
  EXPECT_EQ(received.size(), static_cast<std::size_t>(world().size()));
  EXPECT_FALSE(world().try_receive().has_value());
  world().barrier();
}

TEST(Communicator, ARankMaySendToItself) {
  world().send(world().rank(), 7, bytes_of("to myself"));
  const Message message = receive();
  EXPECT_EQ(message.from, world().rank());
  EXPECT_EQ(message.tag, 7);
  EXPECT_EQ(text_of(message.payload), "to myself");
  world().barrier();
}

TEST(Communicator, AnEmptyMessageIsAMessage) {
  const int next = (world().rank() + 1) % world().size();
  world().send(next, 3, {});
  const Message message = receive();
  EXPECT_EQ(message.from, (world().rank() + world().size() - 1) % world().size());
  EXPECT_TRUE(message.payload.empty());
  world().barrier();
}

TEST(Communicator, WhoIsNotInTheWorldCannotBeSentTo) {
  EXPECT_THROW(world().send(world().size(), 0, {}), ContractError);
  EXPECT_THROW(world().send(-1, 0, {}), ContractError);
}

TEST(Communicator, BroadcastReachesEveryRank) {
  for (int root = 0; root < world().size(); ++root) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{3} << 20}) {
      const std::string sent(size, static_cast<char>('A' + root));
      Bytes bytes = bytes_of(world().rank() == root ? sent : "something else");
      world().broadcast(bytes, root);
      EXPECT_TRUE(text_of(bytes) == sent) << size << " bytes of rank " << root;
    }
  }
}

TEST(Communicator, AllGatherKeepsRankOrderAndLengths) {
  const auto text_of_rank = [](int rank) {  // rank 0 gives an empty one
    return std::string(static_cast<std::size_t>(rank) * 1000, static_cast<char>('a' + rank));
  };
  const auto texts = world().all_gather(text_of_rank(world().rank()));
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(world().size()));
  for (int rank = 0; rank < world().size(); ++rank) EXPECT_EQ(texts[rank], text_of_rank(rank));
}

TEST(Communicator, NoRankLeavesTheBarrierBeforeTheLastEntersIt) {
  // Ranks of a test share a machine and hence its steady clock.
  const auto ticks = [] {
    return std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(10 * world().rank()));
  const std::string entered = ticks();
  world().barrier();
  const std::string left = ticks();
  for (const std::string& other : world().all_gather(entered))
    EXPECT_LE(std::stoll(other), std::stoll(left));
}

}  // namespace
}  // namespace rvsweep
