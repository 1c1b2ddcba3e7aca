// Run alone and under mpirun.
#include "rvsweep/comm/root_work.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "support/mpi_world.hpp"

namespace rvsweep {
namespace {

Communicator& world() { return testing::world().communicator(); }

TEST(RootWorks, OnlyRankZeroWorksAndTheOthersWaitForIt) {
  int worked = 0;
  const auto begin = std::chrono::steady_clock::now();
  root_works(world(), std::nullopt, [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ++worked;
  });
  EXPECT_EQ(worked, world().rank() == 0 ? 1 : 0);
  world().barrier();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(150));
  EXPECT_FALSE(world().try_receive().has_value());
}

TEST(RootWorks, LongWorkIsNoSilence) {
  EXPECT_NO_THROW(root_works(world(), Seconds(2),
                             [] { std::this_thread::sleep_for(std::chrono::milliseconds(3500)); }));
  world().barrier();
}

TEST(RootWorks, WhatTheWorkThrowsLeavesRankZero) {
  if (world().size() > 1) GTEST_SKIP() << "the other ranks would wait for ever";
  EXPECT_THROW(root_works(world(), {}, [] { throw std::runtime_error("no"); }), std::runtime_error);
}

}  // namespace
}  // namespace rvsweep
