#include "rvsweep/plan/directions.hpp"

#include <gtest/gtest.h>

#include "plan/arm_forms.hpp"
#include "plan/sample_plan.hpp"
#include "rvsweep/core/hash.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

const std::string steering = "resid_pre layers=2 window=4 op=add direction=";

/// Pairs of prompts of groups rec-a and base, texts of 20 to 20 + n letters.
PromptSet grouped(std::int32_t n_pairs, const std::string& cluster = "") {
  PromptSet set;
  for (std::int32_t p = 0; p < n_pairs; ++p) {
    const std::string id = "pair-" + std::to_string(p);
    const auto text = [&](char letter) {
      return std::string(20 + static_cast<std::size_t>(p), letter);
    };
    set.prompts.push_back({id + "/source", text('s'), "rec-a", "", cluster});
    set.prompts.push_back({id + "/base", text('b'), "base", "", cluster});
    set.pairs.push_back({id, PromptIndex(2 * p), PromptIndex(2 * p + 1)});
  }
  return set;
}

SamplePlan planned(const std::string& direction, const PromptSet& prompts) {
  return sample_plan(sample_config({"base", steering + direction}), prompts);
}

TEST(Directions, AreFittedOnHalfOfThePairsAndTestedOnTheOthers) {
  const SamplePlan plan = planned("mean_difference:rec-a-base", grouped(9));
  const DirectionFit& fit = plan.direction_fits.at("mean_difference:rec-a-base");
  EXPECT_EQ(fit.prompts[0].size(), 4u);
  EXPECT_EQ(fit.prompts[1].size(), 4u);
  std::set<std::size_t> lengths;  // of what is fitted on: pair p has prompts of 20 + p tokens
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(fit.prompts[0][i].size(), fit.prompts[1][i].size());
    EXPECT_EQ(fit.prompts[0][i].front(), 's');
    EXPECT_EQ(fit.prompts[1][i].front(), 'b');
    lengths.insert(fit.prompts[0][i].size());
  }
  for (const PlannedRow& row : plan.rows) {
    const bool is_fitted = lengths.contains(20 + static_cast<std::size_t>(row.pair.value));
    EXPECT_EQ(plan.refusal(row) != "", row.arm.value == 1 && is_fitted);
    if (row.refusal != 0) {
      EXPECT_TRUE(says(plan.refusal(row), {"fitted on", "mean_difference:rec-a-base"}));
    }
  }
}

TEST(Directions, OfTheOtherWayRoundAreFittedOnPairsToo) {
  const SamplePlan plan = planned("mean_difference:base-rec-a", grouped(8));
  const DirectionFit& fit = plan.direction_fits.at("mean_difference:base-rec-a");
  EXPECT_EQ(fit.prompts[0].front().front(), 'b');
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(fit.prompts[0][i].size(), fit.prompts[1][i].size());
}

TEST(Directions, AnotherSeedFitsOnOthers) {
  const auto fitted = [](std::uint64_t seed) {
    SweepConfig config = sample_config({steering + "mean_difference:rec-a-base"});
    config.seed = seed;
    return sample_plan(config, grouped(12)).direction_fits.begin()->second.prompts;
  };
  EXPECT_EQ(fitted(1), fitted(1));
  EXPECT_NE(fitted(1), fitted(2));
}

TEST(Directions, PromptsOfAClusterStayTogether) {
  PromptSet prompts = grouped(8);
  for (std::size_t p = 0; p < prompts.prompts.size(); ++p)
    prompts.prompts[p].cluster = p < 8 ? "one" : "two";
  const SamplePlan plan = planned("mean_difference:rec-a-base", prompts);
  EXPECT_EQ(plan.direction_fits.begin()->second.units.size(), 1u);
  EXPECT_EQ(plan.n_refused(), 4);
}

TEST(Directions, RefusedWhereNothingIsLeftOrNoGroupIsNamed) {
  const auto refusal = [](const std::string& direction, const PromptSet& prompts) {
    return refusal_message([&] { planned(direction, prompts); });
  };
  EXPECT_TRUE(says(refusal("mean_difference:rec-a-base", grouped(1)), {"rec-a", "left to fit"}));
  EXPECT_TRUE(
      says(refusal("mean_difference:rec-a-base", grouped(8, "all")), {"rec-a", "clusters"}));
  EXPECT_TRUE(says(refusal("mean_difference:rec-base", grouped(8)),
                   {"mean_difference:rec-base", "rec-a", "base"}));
  EXPECT_TRUE(says(refusal("mean_difference:base-base", grouped(8)), {"two groups"}));
}

TEST(Directions, OfAFileAreKnownByItsContent) {
  TemporaryFolder folder;
  const std::string file = folder.write("d.safetensors", "what it holds").string();
  const std::string hash = hex(xxh3("what it holds"));
  EXPECT_EQ(with_hash(file), file + "@" + hash);
  EXPECT_EQ(with_hash(with_hash(file)), with_hash(file));
  for (const std::string text : {"random", "base_to_source", "mean_difference:a-b", "missing.h5"})
    EXPECT_EQ(with_hash(text), text);
  const Donor donor = parse_direction(with_hash(file));
  EXPECT_EQ(donor.direction, "file:" + hash);
  EXPECT_EQ(donor.files, (std::map<std::string, std::string>{{"file:" + hash, file}}));
  EXPECT_EQ(parse_direction("random").direction, "random");
  EXPECT_TRUE(says(refusal_message([] { parse_direction("missing.h5"); }),
                   {"missing.h5", "mean_difference:A-B"}));
}

TEST(Directions, OfAnArmAreInItsTextAndDrawnForItsControl) {
  SweepConfig config = sample_config({steering + "random scale=0.5n"});
  config.controls = {{"gaussian, reverse, random_layers", "here"}};
  const std::vector<Arm> arms = all_arms(config, sample_model());
  ASSERT_EQ(arms.size(), 4u);
  EXPECT_EQ(arms[0].canonical(),
            "resid_pre layers=2 decode=prefill window=4 window_policy=refuse op=add scale=0.5n "
            "along=random heads=all alpha=1 direction=source_to_base");
  EXPECT_EQ(arms[1].canonical(), arms[0].canonical() + " control=gaussian");
  EXPECT_EQ(arms[1].patches[0].donor.direction, "gaussian:random");
  EXPECT_EQ(arms[2].control, Control::reverse);
  EXPECT_EQ(arms[2].direction, Direction::base_to_source);
  EXPECT_EQ(arms[2].patches[0].donor.direction, "random");
  EXPECT_EQ(arms[3].control, Control::random_layers);
  config.controls = {{"self", "here"}};
  EXPECT_TRUE(
      says(refusal_message([&] { all_arms(config, sample_model()); }), {"applies to no arm"}));
}

TEST(Directions, MayBeOrthogonalToAnother) {
  const auto parse = [](const std::string& settings) {
    return parse_arms({{steering + settings, "here"}}, sample_model(), 4).at(0);
  };
  const Arm arm = parse("mean_difference:a-b orthogonal_to=random");
  EXPECT_TRUE(says(arm.canonical(), {" along=mean_difference:a-b orthogonal_to=random "}));
  const std::string name = arm.patches[0].donor.direction;
  EXPECT_EQ(parts_of_direction(name),
            (std::array<std::string, 2>{"mean_difference:a-b", "random"}));
  EXPECT_EQ(mean_differences_of("gaussian:random orthogonal_to=mean_difference:a-b"),
            (std::vector<std::string>{"mean_difference:a-b"}));
  TemporaryFolder folder;
  const std::string a = with_hash(folder.write("a.h5", "a").string()),
                    b = with_hash(folder.write("b.h5", "b").string());
  EXPECT_EQ(parse(a + " orthogonal_to=" + b).patches[0].donor.files.size(), 2u);
  for (const std::string settings :
       {"base_to_source orthogonal_to=random", "random orthogonal_to=source_to_base",
        "random orthogonal_to=missing.h5"})
    EXPECT_TRUE(says(refusal_message([&] { parse(settings); }), {"here", "direction="}));
}

TEST(Directions, WhatIsOnlyScaledHasNoControlOfItsDonor) {
  SweepConfig config = sample_config({"resid_pre layers=2 op=scale factor=0"});
  config.controls = {{"reverse", "here"}};
  const std::vector<Arm> arms = all_arms(config, sample_model());
  EXPECT_EQ(arms.at(1).patches[0].donor.prompt, DonorPrompt::self);
  config.controls = {{"gaussian", "here"}};
  EXPECT_TRUE(
      says(refusal_message([&] { all_arms(config, sample_model()); }), {"applies to no arm"}));
}

TEST(Directions, StandBesideTheDirectionOfARow) {
  const auto parse = [](const std::string& line) {
    return parse_arms({{line, "here"}}, sample_model(), 4).at(0);
  };
  const Arm arm = parse(
      "resid_pre layers=2 op=add direction=random & kv_cache layers=1 direction=base_to_source");
  EXPECT_EQ(arm.direction, Direction::base_to_source);
  EXPECT_EQ(arm.patches[0].donor.direction, "random");
  EXPECT_EQ(arm.patches[1].donor.direction, "");
  EXPECT_TRUE(says(refusal_message([&] { parse("resid_pre layers=2 direction=random"); }),
                   {"op=add", "op=project_out"}));
  EXPECT_TRUE(says(refusal_message([&] { parse("kv_cache layers=2 direction=random"); }),
                   {"source_to_base"}));
}

}  // namespace
}  // namespace rvsweep
