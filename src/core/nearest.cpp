#include "rvsweep/core/nearest.hpp"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace rvsweep {
namespace {

constexpr std::size_t most_listed = 24;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string name_hint(std::string_view name, std::span<const std::string> known) {
  const auto best = std::ranges::min_element(
      known, {}, [&](const std::string& one) { return edit_distance(name, one); });
  if (best == known.end()) return "";
  if (2 * edit_distance(name, *best) > name.size() && known.size() <= most_listed)
    return fmt::format("choose from {}", fmt::join(known, ", "));
  return "did you mean " + *best + "?";
}

}  // namespace rvsweep
