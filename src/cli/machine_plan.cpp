#include "cli/machine_plan.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t bundles_per_rank = 4;
constexpr double margin = 1.25;           // computed time is an estimate
constexpr double shortest_job = 10 * 60;  // seconds; loading takes its part of less

[[noreturn]] void refuse(const Machine& machine, const char* what, double bytes,
                         const MemoryBudget& needed) {
  throw InputError(
      machine.name,
      fmt::format("a {} of {:.0f} GB does not hold {:.1f} GB of weights and {:.1f} "
                  "GB of a bundle",
                  what, bytes / 1e9, needed.weights / 1e9, needed.bundle.total() / 1e9),
      "lower sweep.bundle_rows or use bfloat16");
}

std::int64_t ranks_that_fit(const Machine& machine, const MemoryBudget& memory) {
  const std::int64_t by_cores = machine.cores_per_node / machine.cores_per_rank;
  if (machine.gpus_per_node > 0) {
    if (memory.gpu() > machine.memory_per_gpu)
      refuse(machine, "GPU", machine.memory_per_gpu, memory);
    return std::min(machine.gpus_per_node, by_cores);
  }
  const auto ranks = std::min(by_cores, memory.ranks_on_cores(machine.memory_per_node));
  if (ranks < 1) refuse(machine, "node", machine.memory_per_node, memory);
  return ranks;
}

/// Seconds that one rank would need for everything.
double rank_seconds(const Machine& machine, const Workload& work) {
  if (machine.rows_per_second > 0) return static_cast<double>(work.rows) / machine.rows_per_second;
  const double units = machine.gpus_per_node > 0 ? 1 : static_cast<double>(machine.cores_per_rank);
  return work.flops / (machine.gflops * 1e9 * units);
}

/// "2:30:00" as sbatch reads it; whole minutes, rounded up.
std::string sbatch_time(double seconds) {
  const auto minutes = static_cast<std::int64_t>(std::ceil(seconds / 60));
  return fmt::format("{:02}:{:02}:00", minutes / 60, minutes % 60);
}

std::string quoted(const std::string& word) {
  const bool plain = word.find_first_of(" \t'\"$*|&;()<>#") == std::string::npos;
  return plain ? word : "'" + word + "'";
}

}  // namespace

Suggestion suggest(const Machine& machine, const Workload& work) {
  Suggestion result;
  result.cores_per_rank = machine.cores_per_rank;
  const std::int64_t useful = std::max<std::int64_t>(1, work.bundles / bundles_per_rank);
  result.ranks_per_node = std::min(ranks_that_fit(machine, work.memory), useful);
  const double needed = margin * rank_seconds(machine, work);
  const std::int64_t most_nodes =
      std::clamp<std::int64_t>(useful / result.ranks_per_node, 1, machine.nodes);
  const double ranks_in_time = std::ceil(needed / machine.max_time);
  result.nodes = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(
          std::ceil(ranks_in_time / static_cast<double>(result.ranks_per_node))),
      1, most_nodes);
  const double seconds = needed / static_cast<double>(result.ranks());
  result.starts =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(seconds / machine.max_time)));
  result.seconds = std::clamp(seconds, std::min(shortest_job, machine.max_time), machine.max_time);
  result.memory_per_node = machine.gpus_per_node > 0
                               ? work.memory.node_with_gpus(result.ranks_per_node)
                               : work.memory.node_with_cores(result.ranks_per_node);
  result.memory_per_node = std::min(result.memory_per_node, machine.memory_per_node);
  return result;
}

std::string sbatch_line(const Machine& machine, const Suggestion& suggestion,
                        const std::vector<std::string>& words) {
  const bool gpus = machine.gpus_per_node > 0;
  const char* file = !gpus                   ? "slurm/cpu.sbatch"
                     : suggestion.nodes == 1 ? "slurm/one-node.sbatch"
                                             : "slurm/many-nodes.sbatch";
  std::string line =
      fmt::format("sbatch --nodes={} --ntasks-per-node={} --cpus-per-task={}", suggestion.nodes,
                  suggestion.ranks_per_node, suggestion.cores_per_rank);
  if (gpus) line += fmt::format(" --gpus-per-node={}", suggestion.ranks_per_node);
  line += fmt::format(" --mem={}G --time={} {}",
                      static_cast<std::int64_t>(std::ceil(suggestion.memory_per_node / 1e9)),
                      sbatch_time(suggestion.seconds), file);
  for (const auto& word : words) line += " " + quoted(word);
  return line;
}

}  // namespace rvsweep
