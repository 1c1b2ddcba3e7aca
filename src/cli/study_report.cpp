#include "cli/study_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

constexpr double alpha = 0.05, normal_quantile = 1.6448536269514722;  // of 1 - alpha
constexpr std::int64_t enumerated_pairs = 12;

/// Whether pairs have a source or a base in common, or ones of a cluster.
bool share_prompts(const Plan& plan) {
  std::set<std::uint64_t> sources, bases;
  const auto is_new = [&](std::set<std::uint64_t>& seen, PromptIndex prompt) {
    const PlannedPrompt& planned = plan.prompts[static_cast<std::size_t>(prompt.value)];
    const std::string& cluster = plan.cluster(planned);
    return seen.insert(cluster.empty() ? planned.text_hash : xxh3_fields({"cluster", cluster}))
        .second;
  };
  return std::ranges::any_of(plan.pairs, [&](const PromptPair& pair) {
    return !is_new(sources, pair.source) || !is_new(bases, pair.base);
  });
}

}  // namespace

StudyLimits study_limits(const Plan& plan, const StudyConfig& study) {
  StudyLimits limits;
  std::vector<std::int64_t> pairs(plan.arms.size());
  for (const PlannedRow& row : plan.rows)
    if (row.sample == 0 && row.refusal == 0) ++pairs[static_cast<std::size_t>(row.arm.value)];
  for (std::size_t a = 0; a < plan.arms.size(); ++a) {
    if (!plan.arms[a].is_patched() || plan.arms[a].control != Control::none || pairs[a] == 0)
      continue;
    ++limits.arms;
    limits.pairs = std::max(limits.pairs, pairs[a]);
  }
  if (limits.pairs <= enumerated_pairs && !share_prompts(plan))
    limits.smallest_p = std::min(1.0, 2.0 * static_cast<double>(limits.arms) /
                                          std::pow(2.0, static_cast<double>(limits.pairs)));
  if (study.margin_unit == "d_z")
    limits.equivalence_pairs =
        static_cast<std::int64_t>(std::pow(normal_quantile / study.margin, 2)) + 1;
  return limits;
}

std::string study_report(const Plan& plan, const StudyConfig& study) {
  const StudyLimits limits = study_limits(plan, study);
  std::string text;
  if (!study.title.empty()) text += "study     " + study.title + "\n";
  if (!study.primary.text.empty())
    text += fmt::format("primary   {}, margin {}:{}\n", study.primary.text, study.margin_unit,
                        study.margin);
  if (limits.arms == 0) return text;
  text += fmt::format("tests     {} patched arms on {} pairs", limits.arms, limits.pairs);
  if (limits.smallest_p >= alpha)
    text += fmt::format(
        "\n          no p over all arms (Holm) can be below {:.2g}: take more pairs or fewer arms",
        limits.smallest_p);
  if (limits.pairs < limits.equivalence_pairs)
    text += fmt::format(
        "\n          no equivalence within d_z {} can be shown below {} pairs without common "
        "prompts",
        study.margin, limits.equivalence_pairs);
  return text + "\n";
}

}  // namespace rvsweep
