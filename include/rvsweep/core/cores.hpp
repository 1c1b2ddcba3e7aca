#pragma once
// How many cores this process was given, which on a shared machine is not how many there are.
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace rvsweep {

struct GivenCores {
  std::vector<int> mask;              // CPUs of the affinity mask
  std::optional<int> per_task;        // SLURM_CPUS_PER_TASK: for this rank alone
  std::optional<int> on_node;         // SLURM_CPUS_ON_NODE: for all ranks of the job here
  std::optional<double> group_quota;  // CPU time that the control group grants, in cores
  int present = 0;                    // CPUs of the control group, else of the machine
};

/// `variable` is std::getenv or a stand-in; `root` is "/" but in tests. Control groups of both
/// versions are read, with the limits of their parents.
GivenCores given_cores(const std::function<const char*(const char*)>& variable,
                       const std::filesystem::path& root = "/");

/// Threads for one of `ranks_on_node` ranks, of which `ranks_of_mask` (this one included) share its
/// affinity mask. At least 1.
int threads_for_rank(const GivenCores& cores, int ranks_of_mask, int ranks_on_node);

/// Cores for all ranks of the node, whatever their masks: CPUs present, no more than Slurm gave and
/// the control group grants. At least 1.
int cores_for_node(const GivenCores& cores);

}  // namespace rvsweep
