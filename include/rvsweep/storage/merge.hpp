#pragma once
// plan.h5 + segments -> results.h5.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rvsweep/storage/segment.hpp"

namespace rvsweep {

struct MergeOptions {
  /// Items without a segment get fill values and status `pending`; otherwise they are an error.
  bool partial = false;
  /// Further attributes of /run: facts of this run that are not a function of the sweep.
  std::map<std::string, std::string> run_facts = {};
  /// Seconds of every rank by phase (core/phases.hpp), for /run/phases; empty: not stored.
  std::vector<std::vector<double>> phase_seconds = {};
  /// Bytes of results held in memory at a time, beside the plan and one segment; the file's content
  /// does not depend on it.
  std::int64_t memory_bytes = 256 * 1024 * 1024;
  /// The file to write; empty: DIR/results.h5. Elsewhere, nothing is written in the folder.
  std::filesystem::path into = {};
};

struct MergeReport {
  std::filesystem::path results;
  std::int64_t rows_ok = 0, rows_refused = 0, rows_failed = 0, rows_pending = 0;
  std::int32_t bundles_merged = 0, bundles_missing = 0;
  std::vector<DamagedSegment> damaged;  // counted as missing; partial merges only
};

/// Writes options.into and returns what it holds. All of it outside /run is a pure function of
/// plan and segments. Merges of one folder take turns. InputError when plan.h5 is missing or
/// damaged, or when a full merge lacks segments; OutputError when the file cannot be written.
MergeReport merge(const std::filesystem::path& sweep_folder, const MergeOptions& options);

}  // namespace rvsweep
