#include "rvsweep/sweep/progress.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "rvsweep/core/host.hpp"

namespace rvsweep {

double rows_per_second(const RowCounts& rows, std::int64_t resumed, double seconds) {
  return seconds > 0 ? static_cast<double>(rows.done - resumed) / seconds : 0.0;
}

std::string clock_text(double seconds) {
  const auto total = static_cast<std::int64_t>(std::ceil(seconds));
  const auto hours = total / 3600, minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

std::string progress_line(const RowCounts& rows, std::int64_t resumed, double seconds,
                          int columns) {
  const auto computable = std::max<std::int64_t>(1, rows.total - rows.refused);
  const double per_second = rows_per_second(rows, resumed, seconds);
  std::string line = fmt::format("{}/{} rows", rows.done, computable);
  if (per_second > 0)
    line += fmt::format("  {:.1f} rows/s  ETA {}", per_second,
                        clock_text(static_cast<double>(rows.left()) / per_second));
  if (rows.failed > 0) line += fmt::format("  {} failed", rows.failed);
  // Brackets, a blank, and the last column, where some terminals begin a new line.
  const std::int64_t width = std::min<std::int64_t>(24, columns - 4 - std::ssize(line));
  const auto filled = width * rows.done / computable;
  if (width >= 4) line = fmt::format("[{:#<{}}{:-<{}}] {}", "", filled, "", width - filled, line);
  return line.substr(0, static_cast<std::size_t>(std::max(0, columns - 1)));
}

std::string status_json(const std::string& state, const RowCounts& rows, std::int64_t resumed,
                        const Snapshot& snapshot, const std::vector<std::string>& hosts) {
  const double per_second = rows_per_second(rows, resumed, snapshot.seconds);
  nlohmann::ordered_json status{{"state", state},
                                {"updated", utc_now()},
                                {"rows_total", rows.total},
                                {"rows_done", rows.done},
                                {"rows_refused", rows.refused},
                                {"rows_failed", rows.failed},
                                {"rows_left", rows.left()},
                                {"rows_per_second", per_second},
                                {"seconds", snapshot.seconds},
                                {"bundles_total", snapshot.items},
                                {"bundles_done", snapshot.done}};
  if (per_second > 0) status["eta_seconds"] = static_cast<double>(rows.left()) / per_second;
  auto& ranks = status["ranks"] = nlohmann::ordered_json::array();
  for (std::size_t r = 0; r < snapshot.ranks.size(); ++r) {
    const RankSnapshot& rank = snapshot.ranks[r];
    nlohmann::ordered_json entry{{"rank", r},
                                 {"host", r < hosts.size() ? hosts[r] : ""},
                                 {"bundles_done", rank.items_done},
                                 {"seconds_since_sign_of_life", rank.seconds_since_sign_of_life}};
    if (rank.activity.item) {
      entry["bundle"] = *rank.activity.item;
      entry["bundle_seconds"] = rank.activity.seconds;
    }
    ranks.push_back(std::move(entry));
  }
  return status.dump(1) + "\n";
}

}  // namespace rvsweep
