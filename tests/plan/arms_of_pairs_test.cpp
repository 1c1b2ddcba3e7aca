#include "plan/arms_of_pairs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/sample_plan.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using ::testing::UnorderedElementsAre;

/// Pairs sea~desk, sea~field and sky~desk, with lists of arms for some.
PromptSet three_pairs(const std::vector<std::vector<std::string>>& arms = {{}, {}, {}}) {
  const std::string x(20, 'x');
  PromptSet set = prompt_set({{x + "a", x + "b"}, {x + "c", x + "d"}, {x + "e", x + "f"}});
  const std::vector<std::string> groups{"sea", "desk", "sea", "field", "sky", "desk"};
  for (std::size_t p = 0; p < groups.size(); ++p) set.prompts[p].group = groups[p];
  for (std::size_t n = 0; n < arms.size(); ++n) {
    set.pairs[n].arms = arms[n];
    set.pairs[n].line = static_cast<std::int32_t>(n + 1);
  }
  return set;
}

SweepConfig config_of(std::vector<std::string> arms, const std::vector<std::string>& controls = {},
                      std::int32_t samples = 1) {
  arms.insert(arms.begin(), "base");
  SweepConfig config = sample_config(arms, samples);
  config.prompts_file = "pairs.jsonl";
  for (const std::string& control : controls) config.controls.push_back({control, "job.cfg:90"});
  return config;
}

/// "0 label" for each row of pair 0.
std::multiset<std::string> planned(const Plan& plan) {
  std::multiset<std::string> rows;
  for (const PlannedRow& row : plan.rows)
    if (const Arm& arm = plan.arms[row.arm.value]; arm.is_patched())
      rows.insert(std::to_string(row.pair.value) + " " + arm.label);
  return rows;
}

TEST(ArmsOfPairs, AreThoseOfTheGroupsThatAnArmNames) {
  const auto plan = sample_plan(
      config_of({"kv_cache layers=4:8 pairs=sea~desk label=x",
                 "v_proj layers=3 pairs=s*~desk label=y", "kv_cache layers=4:8 label=z"}),
      three_pairs());
  EXPECT_THAT(planned(plan), UnorderedElementsAre("0 x", "0 y", "2 y", "0 z", "1 z", "2 z"));
  EXPECT_EQ(plan.rows.size(), 6u + 3u);  // base is every pair's
}

TEST(ArmsOfPairs, AreThoseThatAPairLists) {
  const auto plan = sample_plan(
      config_of({"kv_cache layers=4:8 label=x", "v_proj layers=3 label=y"}, {}, /*samples=*/2),
      three_pairs({{"x"}, {"base"}, {}}));
  EXPECT_THAT(planned(plan), UnorderedElementsAre("0 x", "0 x", "2 x", "2 x", "2 y", "2 y"));
}

TEST(ArmsOfPairs, GiveTheirControlsTheSame) {
  const auto plan =
      sample_plan(config_of({"kv_cache layers=4:8 label=x", "kv_cache layers=2:3 label=y",
                             "kv_cache layers=1 pairs=sky~desk label=z"},
                            {"self control_of=x", "reverse control_of=z", "full_swap"}),
                  three_pairs({{"y"}, {"x"}, {"z"}}));
  EXPECT_THAT(planned(plan),
              UnorderedElementsAre("0 y", "0 full_swap", "1 x", "1 x | self", "1 full_swap", "2 z",
                                   "2 z | reverse", "2 full_swap sky~desk"));
}

TEST(ArmsOfPairs, AreAllPackedOnce) {
  const auto plan = sample_plan(config_of({"kv_cache layers=4:8 label=x pairs=sea~*"}),
                                three_pairs({{}, {"base"}, {}}));
  std::multiset<std::int64_t> rows;
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& row : bundle.rows) rows.insert(row.row.value);
  EXPECT_THAT(rows, UnorderedElementsAre(0, 1, 2, 3));
  EXPECT_EQ(plan.rows.size(), 4u);
}

TEST(ArmsOfPairs, WriteTheGroupsIntoTheArmAlone) {
  const auto plan = sample_plan(
      config_of({"kv_cache layers=4 & v_proj layers=3 pairs=sea~desk", "kv_cache layers=4"}),
      three_pairs());
  EXPECT_THAT(plan.arms[1].canonical(), ::testing::HasSubstr(" pairs=sea~desk"));
  EXPECT_THAT(plan.arms[2].canonical(), ::testing::Not(::testing::HasSubstr("pairs")));
}

TEST(ArmsOfPairs, AreRefusedWhereNoneCouldBeMeant) {
  const auto refusal = [](const std::string& arm,
                          const std::vector<std::vector<std::string>>& lists) {
    return refusal_message([&] { sample_plan(config_of({arm + " label=x"}), three_pairs(lists)); });
  };
  const std::string all = "kv_cache layers=4:8";
  EXPECT_TRUE(says(refusal(all + " pairs=sky~field", {}),
                   {"arm \"x\"", "no pair is of pairs=sky~field", "sea~field"}));
  EXPECT_TRUE(
      says(refusal(all, {{}, {"base", "y"}}), {"pairs.jsonl:2", "\"y\"", "choose from base, x"}));
  EXPECT_TRUE(says(refusal(all + " pairs=sky~desk", {{"x"}}),
                   {"pairs.jsonl:1", "\"x\" is for other pairs, sky~desk"}));
  for (const std::string text : {"sea", "~desk", "sea~", "sea~desk~sea"})
    EXPECT_TRUE(says(refusal(all + " pairs=" + text, {}), {"job.cfg:11", "pairs=" + text}));
}

}  // namespace
}  // namespace rvsweep
