#pragma once
// Is everything there, and is it undamaged?
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace rvsweep {

struct VerifyReport {
  /// One line per finding: which file or dataset, and what is wrong with it.
  std::vector<std::string> damage;
  /// One line per fact that is no damage: bundles not computed yet, files left by a dead run.
  std::vector<std::string> notes;
  std::int64_t files = 0;         // HDF5 files whose digest was recomputed
  std::int64_t rows = 0;          // of the plan (or of a single file)
  std::int64_t rows_present = 0;  // computed, or without a bundle by plan
  std::int64_t rows_missing = 0;  // not computed yet, or lost with a damaged segment

  bool sound() const { return damage.empty(); }
};

/// Checks a sweep folder (plan, every segment, results.h5, each row exactly once) or one file of
/// rvsweep. Reads every byte, and every dataset of what it reads, to name the damaged one. Damage
/// is reported, never thrown; InputError only when `path` does not exist or is nothing of
/// rvsweep's.
VerifyReport verify(const std::filesystem::path& path);

}  // namespace rvsweep
