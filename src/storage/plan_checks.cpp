#include "storage/plan_checks.hpp"

#include <algorithm>
#include <numeric>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// Each of 0 ... n-1 once.
template <class Integer>
bool is_permutation_of(std::vector<Integer> numbers, std::size_t n) {
  std::vector<Integer> all(n);
  std::iota(all.begin(), all.end(), Integer{0});
  std::sort(numbers.begin(), numbers.end());
  return numbers == all;
}

bool all_between(const std::vector<std::int32_t>& values, std::int64_t low, std::int64_t end) {
  return std::ranges::all_of(values, [&](auto value) { return value >= low && value < end; });
}

void expect_sound(const std::vector<SweepFacts::Generation>& generations, std::int64_t n_pairs,
                  std::int64_t n_prompts) {
  for (const auto& generation : generations)
    RVSWEEP_EXPECT(all_between(generation.pairs, 0, n_pairs) && generation.n_prompts <= n_prompts,
                   "an extended sweep holds the pairs and prompts of the smaller one");
}

}  // namespace

void expect_sound(const SweepFacts& facts) {
  const auto& arms = facts.arms;
  RVSWEEP_EXPECT(arms.kind.size() == arms.label.size() && arms.spec.size() == arms.label.size(),
                 "the columns of /arms have one length");
  for (const auto& [name, value] : facts.attributes)
    RVSWEEP_EXPECT(
        name != "schema_version" || (!value.empty() && value.size() < 10 &&
                                     value.find_first_not_of("0123456789") == std::string::npos),
        "schema_version is a small whole number");
}

void expect_sound(const BundleOfItem& items, bool is_extended) {
  RVSWEEP_EXPECT(all_between(items.row_bundle, no_bundle, items.n_bundles) &&
                     all_between(items.prompt_bundle, no_bundle, items.n_bundles),
                 "items belong to existing bundles");
  if (!is_extended) return;
  RVSWEEP_EXPECT(is_permutation_of(items.row_number, items.row_bundle.size()) &&
                     is_permutation_of(items.prompt_number, items.prompt_bundle.size()),
                 "every item of an extended sweep has a number of its own");
}

void expect_sound(const SweepFacts& facts, const Plan& plan) {
  const std::int64_t n_prompts = std::ssize(plan.prompts), n_pairs = std::ssize(plan.pairs);
  const auto is_index = [](std::int32_t value, std::int64_t end) {
    return value >= 0 && value < end;
  };
  RVSWEEP_EXPECT(plan.texts.size() == plan.prompts.size() &&
                     plan.prompt_ids.size() == plan.prompts.size() &&
                     plan.tokens.size() == plan.prompts.size(),
                 "the columns of /prompts have one length");
  for (const PromptPair& pair : plan.pairs)
    RVSWEEP_EXPECT(is_index(pair.source.value, n_prompts) && is_index(pair.base.value, n_prompts),
                   "/pairs names existing prompts");
  for (const PlannedRow& row : plan.rows)
    RVSWEEP_EXPECT(
        is_index(row.pair.value, n_pairs) && is_index(row.arm.value, std::ssize(facts.arms.label)),
        "/rows names existing pairs and arms");
  expect_sound(facts.generations, n_pairs, n_prompts);
}

void expect_sound(const StoredSweep& sweep) {
  const auto& [id, group, cluster, text, opening, spans] = sweep.prompts;
  const std::int64_t n_prompts = sweep.n_prompts(), n_pairs = std::ssize(sweep.pairs.source);
  RVSWEEP_EXPECT(text.size() == id.size() && group.size() == id.size() &&
                     (cluster.size() == 0 || cluster.size() == id.size()) &&
                     sweep.prompt_bundle.size() == id.size(),
                 "the columns of /prompts have one length");
  const auto& pairs = sweep.pairs;
  for (const TextStore* texts : {&pairs.answer_source, &pairs.answer_base, &pairs.arms})
    RVSWEEP_EXPECT(texts->size() == 0 || texts->size() == pairs.id.size(),
                   "the columns of /pairs have one length");
  RVSWEEP_EXPECT(pairs.source.size() == pairs.id.size() && pairs.base.size() == pairs.id.size() &&
                     all_between(pairs.source, 0, n_prompts) &&
                     all_between(pairs.base, 0, n_prompts),
                 "/pairs names existing prompts");
  const auto& rows = sweep.rows;
  const std::size_t n_rows = rows.row_id.size();
  RVSWEEP_EXPECT(rows.pair.size() == n_rows && rows.arm.size() == n_rows &&
                     rows.sample.size() == n_rows && rows.reason.size() == n_rows &&
                     sweep.row_bundle.size() == n_rows,
                 "the columns of /rows have one length");
  RVSWEEP_EXPECT(
      all_between(rows.pair, 0, n_pairs) && all_between(rows.arm, 0, std::ssize(sweep.arms.label)),
      "/rows names existing pairs and arms");
  expect_sound(sweep.generations, n_pairs, n_prompts);
}

}  // namespace rvsweep
