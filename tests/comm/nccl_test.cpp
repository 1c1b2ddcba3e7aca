// Against a fake of NCCL (tests/support/fake_nccl.c), alone and under mpirun.
#include "rvsweep/comm/nccl.hpp"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/mpi_world.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

TEST(WhyNotJoin, EachRankNeedsTheLibraryAndAGpuOfItsOwn) {
  EXPECT_EQ(why_not_join({{true, "a1"}, {true, "b2"}, {true, "c3"}}), "");
  EXPECT_EQ(why_not_join({{true, "a1"}, {true, "b2"}, {true, "a1"}}), "two ranks share one GPU");
  EXPECT_THAT(why_not_join({{true, "a1"}, {false, "b2"}}), HasSubstr("libnccl.so.2"));
  EXPECT_THAT(why_not_join({{true, "a1"}, {true, ""}}), HasSubstr("which GPU"));
}

Communicator& world() { return testing::world().communicator(); }

/// What a broadcast says where rank `at` has the trouble `what` (-1: none). As with
/// --gpus-per-task, every rank's GPU has the index 0.
std::optional<std::string> broadcast(const std::string& what, int at) {
  setenv("FAKE_NCCL", world().rank() == at ? what.c_str() : "", /*overwrite=*/1);
  char bytes[8] = {};
  const DeviceMemory memory{"gpu-of-rank-" + std::to_string(world().rank()), bytes, sizeof bytes};
  return broadcast_by_nccl(world(), memory, 0, Seconds(0.2));
}

int times_aborted() {
  const auto count = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "fake_nccl_aborted"));
  return count == nullptr ? -1 : count();
}

TEST(Nccl, JoinsSendsAndLeaves) {
  EXPECT_EQ(broadcast("", -1), std::nullopt);
  const int before = times_aborted();
  EXPECT_EQ(broadcast("", -1), std::nullopt);
  EXPECT_EQ(times_aborted(), before + 1);
}

TEST(Nccl, OneRanksTroubleIsToldToAll) {
  const int last = world().size() - 1;
  const std::string on_last = " on rank " + std::to_string(last);
  EXPECT_EQ(broadcast("init", last), "NCCL: joining failed (internal error)" + on_last);
  EXPECT_EQ(broadcast("init_hangs", last), "NCCL: joining took longer than 0.2 s" + on_last);
  EXPECT_EQ(broadcast("broadcast", last), "NCCL: sending failed (internal error)" + on_last);
  EXPECT_EQ(broadcast("hangs", last), "NCCL: sending took longer than 0.2 s" + on_last);
  EXPECT_EQ(broadcast("", -1), std::nullopt) << "the next one is not disturbed";
}

TEST(Nccl, OfRanksThatShareAGpuIsNotTried) {
  if (world().size() == 1) GTEST_SKIP() << "alone";
  char byte = 0;
  EXPECT_EQ(broadcast_by_nccl(world(), {"one-gpu", &byte, 1}, 0, Seconds(0.2)),
            "two ranks share one GPU");
}

}  // namespace
}  // namespace rvsweep
