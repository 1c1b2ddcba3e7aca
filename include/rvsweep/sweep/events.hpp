#pragma once
// Rank 0 while a sweep runs: what becomes of every bundle, on the disk and on the screen.
#include <string>
#include <vector>

#include "rvsweep/scheduler/work.hpp"
#include "sweep/folder.hpp"

namespace rvsweep {

/// Opens the journal, counts the bundles that launches before this one died of and sets aside those
/// with `max_attempts` failed attempts: their rows are committed as failed, with the reason.
/// OutputError where that cannot be written.
void begin_attempts(SweepFolder& folder, int ranks, int max_attempts);

/// Keeps journal, counts, status.json and progress line; sets aside bundles that failed for good.
/// The arguments must outlive what is returned; `hosts` is by rank, `latest` the last snapshot.
WorkEvents run_events(SweepFolder& folder, const std::vector<std::string>& hosts, Snapshot& latest);

}  // namespace rvsweep
