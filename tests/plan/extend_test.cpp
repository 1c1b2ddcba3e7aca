#include "plan/extend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "plan/sample_plan.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/wire.hpp"

namespace rvsweep {
namespace {

std::string text(std::int64_t n, char letter) {
  return std::string(static_cast<std::size_t>(n), letter);
}

using Texts = std::vector<std::pair<std::string, std::string>>;
const Texts old_texts = {{text(20, 'a'), text(30, 'b')}, {text(60, 'c'), text(17, 'd')}};

/// The old pairs with a new one between them that uses a prompt of each.
PromptSet larger_prompts() {
  PromptSet set = prompt_set({old_texts[0], {text(60, 'c'), text(40, 'n')}, old_texts[1]});
  set.pairs[0].id = "pair-0";
  set.pairs[1].id = "new";
  set.pairs[2].id = "pair-1";
  set.pairs[2].answers = prompt_set(old_texts).pairs[1].answers;
  return set;
}

class Extended : public ::testing::Test {
 protected:
  const std::vector<std::string> old_arms = {"base", "kv_cache layers=4:8"};
  const std::vector<std::string> all_arms = {"source", "base", "v_proj layers=3",
                                             "kv_cache layers=4:8"};
  const Plan before = sample_plan(sample_config(old_arms, 2), prompt_set(old_texts));
  const Plan plan = make_plan(sample_config(all_arms, 3), sample_model(), larger_prompts(),
                              sample_text(), "cpu", "float32", &before);
};

TEST_F(Extended, HasTheRowsOfTheLargerJobInItsOrder) {
  const Plan fresh = sample_plan(sample_config(all_arms, 3), larger_prompts());
  ASSERT_EQ(plan.rows.size(), 3u * 4u * 3u);
  for (std::size_t i = 0; i < plan.rows.size(); ++i) EXPECT_EQ(plan.rows[i].id, fresh.rows[i].id);
}

TEST_F(Extended, KeepsBundlesAndAppendsNewOnes) {
  ASSERT_GT(plan.bundles.size(), before.bundles.size());
  for (std::size_t b = 0; b < plan.bundles.size(); ++b)
    EXPECT_EQ(plan.bundles[b].id.value, static_cast<std::int32_t>(b));
  const std::map<std::int32_t, std::int32_t> place_of_arm = {{0, 1}, {1, 3}};
  for (std::size_t b = 0; b < before.bundles.size(); ++b) {
    const BundleId id(static_cast<std::int32_t>(b));
    Bundle expected = complete_bundle(before, id);
    for (auto& row : expected.rows) row.arm = ArmIndex(place_of_arm.at(row.arm.value));
    EXPECT_EQ(to_bytes(complete_bundle(plan, id)), to_bytes(expected));
  }
}

TEST_F(Extended, KeepsNumbersAndCountsOn) {
  std::map<std::uint64_t, std::int64_t> old_numbers;
  for (const auto& row : before.rows) old_numbers[row.id.value] = row.number.value;
  std::int64_t next = std::ssize(before.rows);
  for (const auto& row : plan.rows) {
    const auto old = old_numbers.find(row.id.value);
    EXPECT_EQ(row.number.value, old == old_numbers.end() ? next++ : old->second);
  }
  // Prompts lie a b c n d; a b c d were there before.
  std::vector<std::int32_t> numbers;
  for (const auto& prompt : plan.prompts) numbers.push_back(prompt.number.value);
  EXPECT_EQ(numbers, (std::vector<std::int32_t>{0, 1, 2, 4, 3}));
}

TEST_F(Extended, ComputesEachRowAndRecordsEachPromptOnce) {
  std::multiset<std::int64_t> rows, prompts;
  for (const PlannedBundle& bundle : plan.bundles) {
    for (const auto& row : bundle.rows) rows.insert(row.row.value);
    for (const auto& context : bundle.contexts)
      if (context.records_prompt) prompts.insert(context.prompt.value);
  }
  for (const auto& row : plan.rows) EXPECT_EQ(rows.count(row.number.value), 1u);
  for (const auto& prompt : plan.prompts) EXPECT_EQ(prompts.count(prompt.number.value), 1u);
}

TEST_F(Extended, ContextsCarryTheTokensOfTheirPrompt) {
  for (std::size_t b = 0; b < plan.bundles.size(); ++b)
    for (const auto& context :
         complete_bundle(plan, BundleId(static_cast<std::int32_t>(b))).contexts) {
      const auto prompt = std::find_if(plan.prompts.begin(), plan.prompts.end(),
                                       [&](const auto& p) { return p.number == context.prompt; });
      ASSERT_NE(prompt, plan.prompts.end());
      EXPECT_EQ(context.tokens, plan.tokens[prompt - plan.prompts.begin()]);
    }
}

TEST_F(Extended, ByNothingAddsNoBundle) {
  const Plan same = make_plan(sample_config(old_arms, 2), sample_model(), prompt_set(old_texts),
                              sample_text(), "cpu", "float32", &before);
  EXPECT_EQ(same.bundles.size(), before.bundles.size());
}

TEST_F(Extended, NeverLosesAnything) {
  const auto extend = [&](const std::vector<std::string>& arms, std::int32_t samples,
                          const PromptSet& prompts) {
    make_plan(sample_config(arms, samples), sample_model(), prompts, sample_text(), "cpu",
              "float32", &before);
  };
  EXPECT_THROW(extend(old_arms, 1, prompt_set(old_texts)), ContractError);
  EXPECT_THROW(extend({"base", "source"}, 2, prompt_set(old_texts)), ContractError);
  EXPECT_THROW(extend(old_arms, 2, prompt_set({old_texts[0]})), ContractError);
}

}  // namespace
}  // namespace rvsweep
