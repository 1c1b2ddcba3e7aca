// Run alone and under mpirun.
#include "rvsweep/comm/world.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <set>

#include "rvsweep/core/error.hpp"
#include "support/mpi_world.hpp"

namespace rvsweep {
namespace {

using Environment = std::map<std::string, std::string>;

bool launched(const Environment& environment) {
  return launched_as_mpi_rank([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(LaunchedAsMpiRank, OnlyUnderALauncher) {
  EXPECT_FALSE(launched({}));
  EXPECT_FALSE(launched({{"PATH", "/bin"}}));
  EXPECT_TRUE(launched({{"OMPI_COMM_WORLD_SIZE", "1"}}));
  EXPECT_TRUE(launched({{"SLURM_PROCID", "3"}, {"PMIX_RANK", "3"}, {"SLURM_STEP_NUM_TASKS", "4"}}));
  EXPECT_TRUE(launched({{"SLURM_PROCID", "3"}, {"PMI_RANK", "3"}, {"SLURM_STEP_NUM_TASKS", "4"}}));
}

TEST(LaunchedAsMpiRank, ABatchScriptOrASingleTaskIsAlone) {
  EXPECT_FALSE(launched({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}));
  EXPECT_FALSE(launched({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
}

TEST(LaunchedAsMpiRank, SeveralTasksThatCannotMeetAreRefused) {
  EXPECT_THROW(launched({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}}), InputError);
}

TEST(LaunchedRanks, AreThoseOfTheInnermostLauncher) {
  const auto ranks = [](const Environment& environment) {
    return launched_ranks([&](const char* name) {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    });
  };
  EXPECT_EQ(ranks({}), 0);
  EXPECT_EQ(ranks({{"PMI_RANK", "1"}, {"PMI_SIZE", "3"}}), 3);
  EXPECT_EQ(ranks({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "0"}}), 4);
  EXPECT_EQ(ranks({{"SLURM_STEP_NUM_TASKS", "4"}}), 0);
  // mpirun's daemons are a step of one task on each node.
  EXPECT_EQ(ranks({{"OMPI_COMM_WORLD_SIZE", "1"},
                   {"SLURM_PROCID", "0"},
                   {"SLURM_STEP_NUM_TASKS", "2"},
                   {"PMI_SIZE", "2"}}),
            1);
}

TEST(World, HasTheSizeItWasLaunchedWith) {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_EQ(testing::world().communicator().size(), size ? std::atoi(size) : 1);
}

TEST(World, RanksOfOneHostHaveDifferentPlaces) {
  const NodeRank& node = testing::world().node();
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
  EXPECT_EQ(node.host, host);

  Communicator& communicator = testing::world().communicator();
  const auto hosts = communicator.all_gather(node.host);
  const auto local_ranks = communicator.all_gather(std::to_string(node.local_rank));
  std::set<std::string> here;
  int ranks_here = 0;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    if (hosts[rank] != node.host) continue;
    here.insert(local_ranks[rank]);
    ++ranks_here;
  }
  EXPECT_EQ(node.local_size, ranks_here);
  std::set<std::string> expected;
  for (int local = 0; local < ranks_here; ++local) expected.insert(std::to_string(local));
  EXPECT_EQ(here, expected);
}

}  // namespace
}  // namespace rvsweep
