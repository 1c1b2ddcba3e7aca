#pragma once
// What a running sweep tells: the progress line and DIR/status.json.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "rvsweep/scheduler/snapshot.hpp"

namespace rvsweep {

/// Rows of a sweep by what became of them.
struct RowCounts {
  std::int64_t total = 0, refused = 0;
  std::int64_t done = 0, failed = 0;  // done: computed, the failed ones among them
  std::int64_t left() const { return total - done - refused; }
};

/// Of this run, `resumed` rows having been done before it; 0 at its start.
double rows_per_second(const RowCounts& rows, std::int64_t resumed, double seconds);

/// "[#####-----] 120/240 rows  14.2 rows/s  ETA 0:08"; `resumed` rows were done before this run. In
/// a terminal of few `columns` the bar gets shorter, then goes, so that no line is wrapped.
std::string progress_line(const RowCounts& rows, std::int64_t resumed, double seconds, int columns);

/// "1:02:03" or "2:03".
std::string clock_text(double seconds);

/// One object of a status.json: state is running, finished or stopped.
std::string status_json(const std::string& state, const RowCounts& rows, std::int64_t resumed,
                        const Snapshot& snapshot, const std::vector<std::string>& hosts);

}  // namespace rvsweep
