#pragma once
// One run of a sweep on all ranks: its folder opened or resumed, bundles computed, results merged.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/comm/world.hpp"
#include "rvsweep/core/exit_code.hpp"

namespace rvsweep {

struct RunOptions {
  std::vector<std::filesystem::path> config_files;  // a later one wins
  std::vector<std::string> sets;                    // "section.key=value", over all files
  std::filesystem::path out;                        // folder of the sweep
  bool extend = false;                  // its sweep may lack pairs, samples or arms of this one
  bool retry_failed = false;            // bundles with failed rows are computed again
  bool self_check = false;              // of a CPU too; a GPU is checked always
  int max_attempts = 3;                 // at a bundle before its rows have failed for good; >= 1
  std::optional<Seconds> max_time;      // then stop early
  std::optional<Seconds> rank_timeout;  // of silence, after which a rank is lost; >= 3 s
};

struct RunEnd {
  ExitCode code = exit_done;
  std::filesystem::path results;  // results.h5, on rank 0 where it was written
};

/// Collective. What is wrong with the input is logged on rank 0, which alone gets its exit code, so
/// that one rank speaks for all. Throws RankLost, and what is a defect.
RunEnd run_sweep(World& world, const RunOptions& options);

}  // namespace rvsweep
