#include "cli/length_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace rvsweep {
namespace {

/// Source minus base, tokens; at least one pair.
std::string line(const std::vector<std::int64_t>& differences) {
  std::vector<std::int64_t> sizes;
  double sum = 0, sum_of_sizes = 0;
  for (const std::int64_t difference : differences) {
    sizes.push_back(std::abs(difference));
    sum += static_cast<double>(difference);
    sum_of_sizes += static_cast<double>(sizes.back());
  }
  std::sort(sizes.begin(), sizes.end());
  const std::size_t n = sizes.size();
  const double median = static_cast<double>(sizes[(n - 1) / 2] + sizes[n / 2]) / 2;
  const auto equal = std::count(sizes.begin(), sizes.end(), 0);
  const auto count = static_cast<double>(n);
  return fmt::format(
      "{} pair{}: |source - base| mean {:.2f}, median {:g}, largest {} tokens; source - base mean "
      "{:+.2f}; {:.0f} % equal\n",
      n, n == 1 ? "" : "s", sum_of_sizes / count, median, sizes.back(), sum / count,
      100 * static_cast<double>(equal) / count);
}

}  // namespace

std::string length_report(const Plan& plan) {
  std::vector<std::int64_t> all;
  std::map<std::pair<std::string, std::string>, std::vector<std::int64_t>> by_groups;
  for (const PromptPair& pair : plan.pairs) {
    const PlannedPrompt& source = plan.prompts[pair.source.value];
    const PlannedPrompt& base = plan.prompts[pair.base.value];
    all.push_back(source.n_tokens - base.n_tokens);
    by_groups[{plan.groups[source.group], plan.groups[base.group]}].push_back(all.back());
  }
  std::string report = "lengths   " + line(all);
  if (by_groups.size() > 1)
    for (const auto& [groups, differences] : by_groups)
      report += fmt::format("  {} x {}: {}", groups.first, groups.second, line(differences));
  return report;
}

}  // namespace rvsweep
