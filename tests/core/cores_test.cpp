#include "rvsweep/core/cores.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>

#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

class Cores : public ::testing::Test {
 protected:
  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((root_.path() / file).parent_path());
    root_.write(file, text);
  }
  GivenCores found(const std::map<std::string, std::string>& environment = {}) const {
    return given_cores(
        [&](const char* name) {
          const auto at = environment.find(name);
          return at == environment.end() ? nullptr : at->second.c_str();
        },
        root_.path());
  }

  TemporaryFolder root_;
};

TEST_F(Cores, TheMaskIsWhatThisThreadMayUse) {
  // hardware_concurrency of libstdc++ counts the affinity mask, too.
  EXPECT_EQ(found().mask.size(), std::thread::hardware_concurrency());
  EXPECT_FALSE(found().group_quota);
}

TEST_F(Cores, ReadsWhatSlurmGave) {
  const auto cores = found({{"SLURM_CPUS_PER_TASK", "4"}, {"SLURM_CPUS_ON_NODE", "16"}});
  EXPECT_EQ(cores.per_task, 4);
  EXPECT_EQ(cores.on_node, 16);
  for (const char* odd : {"", "0", "-2", "4x", "many"})
    EXPECT_FALSE(found({{"SLURM_CPUS_PER_TASK", odd}}).per_task) << odd;
}

TEST_F(Cores, ReadsGroupsOfVersion2WithTheirParents) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
  EXPECT_FALSE(found().group_quota);
  write("sys/fs/cgroup/job/cpu.max", "250000 100000\n");
  EXPECT_DOUBLE_EQ(found().group_quota.value(), 2.5);
  write("sys/fs/cgroup/job/step/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(found().group_quota.value(), 0.5);
}

TEST_F(Cores, ReadsGroupsOfVersion1) {
  write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/1\n0::/\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(found().group_quota);
  write("sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "300000\n");
  EXPECT_DOUBLE_EQ(found().group_quota.value(), 3);
}

TEST_F(Cores, CountsTheCpusOfTheMachineOrOfTheGroup) {
  EXPECT_EQ(found().present, std::ssize(found().mask));  // nothing says more
  write("sys/devices/system/cpu/online", "0-15\n");
  EXPECT_EQ(found().present, 16);
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/cpuset.cpus.effective", "0-3,8,10-11\n");
  EXPECT_EQ(found().present, 7);
  write("proc/self/cgroup", "3:cpuset:/job\n0::/\n");
  write("sys/fs/cgroup/cpuset/job/cpuset.effective_cpus", "2\n");
  EXPECT_EQ(found().present, 1);
}

TEST(CoresForNode, AreThosePresentWithinWhatIsGranted) {
  GivenCores cores;
  cores.mask = {3};
  cores.present = 8;
  EXPECT_EQ(cores_for_node(cores), 8);
  cores.on_node = 6;
  EXPECT_EQ(cores_for_node(cores), 6);
  cores.group_quota = 2.5;
  EXPECT_EQ(cores_for_node(cores), 2);
  cores.group_quota = 0.5;
  EXPECT_EQ(cores_for_node(cores), 1);
}

TEST(ThreadsForRank, IsTheLeastOfAllLimits) {
  GivenCores cores;
  for (int cpu = 0; cpu < 16; ++cpu) cores.mask.push_back(cpu);
  EXPECT_EQ(threads_for_rank(cores, 1, 1), 16);
  EXPECT_EQ(threads_for_rank(cores, 4, 4), 4);   // four ranks share the mask
  EXPECT_EQ(threads_for_rank(cores, 1, 4), 16);  // each rank has a mask of its own
  EXPECT_EQ(threads_for_rank(cores, 32, 32), 1);
  cores.on_node = 12;
  EXPECT_EQ(threads_for_rank(cores, 1, 4), 3);
  cores.per_task = 2;
  EXPECT_EQ(threads_for_rank(cores, 1, 4), 2);
  cores.group_quota = 5.5;
  EXPECT_EQ(threads_for_rank(cores, 1, 4), 1);
}

}  // namespace
}  // namespace rvsweep
