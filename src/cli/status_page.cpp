#include "cli/status_page.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "rvsweep/core/utf8.hpp"
#include "rvsweep/sweep/progress.hpp"

namespace rvsweep {
namespace {

using nlohmann::ordered_json;
using Lines = std::vector<std::string>;

constexpr std::size_t most_items = 5;  // bundles that failed, and warnings

/// At most `columns` characters; what a terminal would obey becomes a blank.
std::string cut(std::string_view text, std::size_t columns) {
  std::string line;
  for (std::size_t n = 0; !text.empty() && n < columns; ++n) {
    const utf8::Step step = utf8::first(text);
    const bool shown = step.well_formed && step.code_point >= 0x20 &&
                       !(step.code_point >= 0x7f && step.code_point < 0xa0);
    line += shown ? text.substr(0, step.size) : std::string_view(" ");
    text.remove_prefix(step.size);
  }
  return line;
}

std::int64_t count(const ordered_json& status, const char* name) {
  return status.value(name, std::int64_t{0});
}

std::string bar(const ordered_json& status, std::size_t columns) {
  const auto all = count(status, "rows_total") - count(status, "rows_refused");
  const auto done = count(status, "rows_done");
  const double share = all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1.0;
  const std::size_t width = std::clamp<std::size_t>(columns, 20, 100) - 8;  // "[] 100 %"
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return fmt::format("[{}{}] {:.0f} %", std::string(filled, '#'), std::string(width - filled, '-'),
                     std::floor(100 * share));
}

std::string counts(const ordered_json& status) {
  return fmt::format("{} of {} rows done, {} left, {} refused, {} failed",
                     count(status, "rows_done"), count(status, "rows_total"),
                     count(status, "rows_left"), count(status, "rows_refused"),
                     count(status, "rows_failed"));
}

std::string speed(const StatusView& view) {
  const ordered_json& status = view.status;
  Lines parts;
  if (view.rows_per_second)
    parts.push_back(fmt::format("{:.1f} rows/s now", *view.rows_per_second));
  if (const double average = status.value("rows_per_second", 0.0); average > 0)
    parts.push_back(fmt::format("{:.1f} rows/s on average", average));
  if (status.contains("eta_seconds") && status["state"] == "running")
    parts.push_back("ETA " + clock_text(status["eta_seconds"].get<double>()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// Silence of a rank, the time since the status was written included.
double silence(const StatusView& view, const ordered_json& rank) {
  return rank.value("seconds_since_sign_of_life", 0.0) + view.seconds_since_update;
}

std::string rank_line(const StatusView& view, const ordered_json& rank) {
  std::string doing = "idle";
  if (rank.contains("bundle"))
    doing = fmt::format("bundle {} for {}", rank["bundle"].get<int>(),
                        clock_text(rank.value("bundle_seconds", 0.0)));
  const double silent = silence(view, rank);
  const std::string heard = view.status["state"] != "running" ? ""
                            : silent > stale_seconds          ? ", SILENT for " + clock_text(silent)
                                                     : fmt::format(", heard {:.0f} s ago", silent);
  return fmt::format("  {:<4} {}  {}, {} done{}", rank.value("rank", 0), rank.value("host", ""),
                     doing, rank.value("bundles_done", 0), heard);
}

Lines rank_lines(const StatusView& view, std::size_t room) {
  std::vector<ordered_json> ranks =
      view.status.value("ranks", ordered_json::array()).get<std::vector<ordered_json>>();
  const std::size_t all = ranks.size();
  if (all > room) {
    std::stable_sort(ranks.begin(), ranks.end(), [&](const auto& a, const auto& b) {
      return (silence(view, a) > stale_seconds) > (silence(view, b) > stale_seconds);
    });
    ranks.resize(room == 0 ? 0 : room - 1);
  }
  Lines lines;
  for (const auto& rank : ranks) lines.push_back(rank_line(view, rank));
  if (all > room && room > 0)
    lines.push_back(fmt::format("  and {} more ranks", all - ranks.size()));
  return lines;
}

Lines trouble_lines(const StatusView& view) {
  Lines lines;
  for (const auto& [bundle, trouble] : view.troubles) {
    if (lines.size() == most_items) {
      lines.back() = fmt::format("  and {} more", view.troubles.size() - most_items + 1);
      break;
    }
    lines.push_back(fmt::format("  bundle {} {}, {} failed attempt{}: {}", bundle.value,
                                trouble.set_aside ? "set aside" : "to be tried again",
                                trouble.attempts, trouble.attempts == 1 ? "" : "s",
                                trouble.reason));
  }
  return lines;
}

void append(Lines& lines, const std::string& title, const Lines& items) {
  if (items.empty()) return;
  lines.push_back(title);
  lines.insert(lines.end(), items.begin(), items.end());
}

}  // namespace

Lines status_page(const std::string& folder, const StatusView& view, std::size_t columns,
                  std::size_t lines) {
  Lines page{view.status["state"].get<std::string>() + ": " + folder, bar(view.status, columns),
             counts(view.status)};
  if (const std::string text = speed(view); !text.empty()) page.push_back(text);
  const Lines troubles = trouble_lines(view);
  const std::size_t shown = std::min(view.warnings.size(), most_items);
  Lines warnings;
  for (std::size_t n = view.warnings.size() - shown; n < view.warnings.size(); ++n)
    warnings.push_back("  " + view.warnings[n]);
  const std::size_t taken = page.size() + 1 + (troubles.empty() ? 0 : troubles.size() + 1) +
                            (warnings.empty() ? 0 : warnings.size() + 1);
  append(page, "ranks", rank_lines(view, lines > taken ? lines - taken : 1));
  append(page, "bundles that failed", troubles);
  append(page, "latest warnings", warnings);
  if (page.size() > lines) page.resize(lines);
  for (std::string& line : page) line = cut(line, columns);
  return page;
}

std::string status_line(const StatusView& view) {
  const std::string text = speed(view);
  return view.status["state"].get<std::string>() + ": " + counts(view.status) +
         (text.empty() ? "" : "; " + text);
}

}  // namespace rvsweep
