#pragma once
// The picture that `rvsweep status --watch` draws, as lines of text.
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/storage/journal.hpp"

namespace rvsweep {

/// What a page shows beside the sweep's status.
struct StatusView {
  nlohmann::ordered_json status;          // see sweep/status.hpp
  std::optional<double> rows_per_second;  // of the last half minute
  double seconds_since_update = 0;        // of status.json
  std::map<BundleId, BundleTrouble> troubles;
  std::vector<std::string> warnings;  // lines of the log, the latest last
};

/// A rank that was silent for longer is marked; it gives a sign of life every second.
constexpr double stale_seconds = 10;

/// Bar, counts, speed, a line per rank, bundles that failed, warnings: at most `lines` lines of at
/// most `columns` characters, without control characters. Where there is no room for all ranks,
/// silent ones go first.
std::vector<std::string> status_page(const std::string& folder, const StatusView& view,
                                     std::size_t columns, std::size_t lines);

/// The counts in one line.
std::string status_line(const StatusView& view);

}  // namespace rvsweep
