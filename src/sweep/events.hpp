#pragma once
// Rank 0 while a sweep runs: what becomes of every bundle, on the disk and on the screen.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/scheduler/work.hpp"
#include "sweep/folder.hpp"

namespace rvsweep {

/// What a rank reports of a bundle that it has committed.
struct BundleOutcome {
  std::int64_t rows = 0, failed = 0;  // rows: failed ones included
};
BundleOutcome outcome_of(const ItemTable& rows);

/// Opens the journal, counts the bundles that launches before this one died of and sets aside those
/// with `max_attempts` failed attempts: their rows are committed as failed, with the reason.
/// OutputError where that cannot be written.
void begin_attempts(SweepFolder& folder, int ranks, int max_attempts);

/// Keeps journal, counts, status.json and progress line; sets aside bundles that failed for good.
/// The arguments must outlive what is returned; `hosts` is by rank, `latest` the last snapshot.
WorkEvents run_events(SweepFolder& folder, const std::vector<std::string>& hosts, Snapshot& latest);

}  // namespace rvsweep
