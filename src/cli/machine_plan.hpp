#pragma once
// How many nodes, ranks and hours a sweep needs on a described machine.
#include <cstdint>
#include <string>
#include <vector>

#include "cli/machine_file.hpp"
#include "rvsweep/plan/memory_budget.hpp"

namespace rvsweep {

/// What a sweep asks of a machine.
struct Workload {
  std::int64_t rows = 0;     // that are computed
  std::int64_t bundles = 0;  // the units of dispatch
  double flops = 0;          // floating-point operations of all bundles
  MemoryBudget memory;
};

struct Suggestion {
  std::int64_t nodes = 1, ranks_per_node = 1, cores_per_rank = 1;
  double seconds = 0;          // of one job, a quarter longer than computed
  std::int64_t starts = 1;     // jobs in a row, where one is not long enough
  double memory_per_node = 0;  // bytes
  std::int64_t ranks() const { return nodes * ranks_per_node; }
};

/// The fewest nodes on which the sweep ends within one job; where no number of them suffices, all
/// that are of use and several jobs in a row. A rank gets at least four bundles, so that none waits
/// long for the last. Throws InputError where not even one rank has the memory.
Suggestion suggest(const Machine& machine, const Workload& work);

/// The sbatch command line; `words` are the arguments of `rvsweep run`.
std::string sbatch_line(const Machine& machine, const Suggestion& suggestion,
                        const std::vector<std::string>& words);

}  // namespace rvsweep
