#include "rvsweep/core/cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {
namespace fs = std::filesystem;

std::vector<int> affinity_mask() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

std::optional<int> positive_number(const char* text) {
  const auto number = parse_number<int>(text == nullptr ? "" : text);
  return number > 0 ? number : std::nullopt;
}

/// cpu.max reads "max 100000" or "150000 100000": microseconds of CPU time per period.
std::optional<double> quota_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && quota > 0 && period > 0 ? std::optional(quota / period)
                                                            : std::nullopt;
}

std::optional<double> quota_v1(const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us"), period_file(group / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period && quota > 0 && period > 0
             ? std::optional(quota / period)
             : std::nullopt;
}

/// The least that a group or one of its parents up to `top` grants.
template <class Quota>
void lower_to(std::optional<double>& least, const fs::path& top, const fs::path& below,
              Quota quota_of) {
  for (fs::path group = top / below;; group = group.parent_path()) {
    if (const auto quota = quota_of(group)) least = std::min(least.value_or(*quota), *quota);
    if (group == top) return;
  }
}

/// CPUs in a file that lists them as "0-3,8".
std::optional<double> count_cpus(const fs::path& file) {
  std::ifstream stream(file);
  double count = 0;
  for (std::string range; std::getline(stream, range, ',');) {
    int first = 0, last = 0;
    const int numbers = std::sscanf(range.c_str(), "%d-%d", &first, &last);
    if (numbers > 0) count += numbers == 2 ? last - first + 1 : 1;
  }
  return count > 0 ? std::optional(count) : std::nullopt;
}

/// /proc/self/cgroup has lines NUMBER:CONTROLLERS:/PATH; version 2 has no controllers.
void read_groups(const fs::path& root, GivenCores& cores) {
  std::optional<double>& least = cores.group_quota;
  std::optional<double> present = count_cpus(root / "sys/devices/system/cpu/online");
  std::ifstream groups(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path path = fs::path(line.substr(second + 1)).relative_path();
    const auto has = [&](const char* name) {
      return std::ranges::count(split(controllers, ','), name) > 0;
    };
    const auto cpus_in = [](const char* name) {
      return [name](const fs::path& group) { return count_cpus(group / name); };
    };
    if (controllers.empty()) lower_to(least, mount, path, quota_v2);
    if (controllers.empty()) lower_to(present, mount, path, cpus_in("cpuset.cpus.effective"));
    if (has("cpu"))
      for (const char* name : {"cpu", "cpu,cpuacct"}) lower_to(least, mount / name, path, quota_v1);
    if (has("cpuset")) lower_to(present, mount / "cpuset", path, cpus_in("cpuset.effective_cpus"));
  }
  cores.present = static_cast<int>(present.value_or(static_cast<double>(cores.mask.size())));
}

}  // namespace

GivenCores given_cores(const std::function<const char*(const char*)>& variable,
                       const fs::path& root) {
  GivenCores cores;
  cores.mask = affinity_mask();
  cores.per_task = positive_number(variable("SLURM_CPUS_PER_TASK"));
  cores.on_node = positive_number(variable("SLURM_CPUS_ON_NODE"));
  read_groups(root, cores);
  return cores;
}

int threads_for_rank(const GivenCores& cores, int ranks_of_mask, int ranks_on_node) {
  int threads = static_cast<int>(cores.mask.size()) / ranks_of_mask;
  if (cores.per_task) threads = std::min(threads, *cores.per_task);
  if (cores.on_node) threads = std::min(threads, *cores.on_node / ranks_on_node);
  if (cores.group_quota)
    threads = std::min(threads, static_cast<int>(*cores.group_quota / ranks_on_node));
  return std::max(threads, 1);
}

int cores_for_node(const GivenCores& cores) {
  const double granted = std::min<double>(cores.present, cores.group_quota.value_or(cores.present));
  return std::max(1, std::min(static_cast<int>(granted), cores.on_node.value_or(cores.present)));
}

}  // namespace rvsweep
