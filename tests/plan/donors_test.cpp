#include "plan/donors.hpp"

#include <gtest/gtest.h>

#include <set>
#include <span>

#include "plan/arm_forms.hpp"
#include "plan/sample_plan.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

const std::string source(33, 's'), base(20, 'b');

/// A plan of pairs (source, base), then ("aaa...", "zzz..."), with roles that are asked of it.
struct Cast {
  SamplePlan plan;
  Donors donors;

  explicit Cast(const std::string& arm, const std::string& control = "")
      : plan(sample_plan(
            config_of(arm, control),
            prompt_set({{source, base}, {std::string(25, 'a'), std::string(18, 'z')}}))),
        donors(plan, 1, sample_text()) {}

  static SweepConfig config_of(const std::string& arm, const std::string& control) {
    SweepConfig config = sample_config({arm});
    if (!control.empty()) config.controls = {{control, "job.cfg:9"}};
    return config;
  }

  const Arm& arm() const { return plan.arms.at(0); }
  std::string text(PromptIndex prompt) const { return plan.texts[prompt.value]; }
};

TEST(Donors, BaseIsGeneratedFromAndSourceGives) {
  const Cast cast("v_proj layers=1");
  const Roles roles = cast.donors.roles(cast.arm(), PairIndex(0));
  EXPECT_EQ(cast.text(roles.base), base);
  EXPECT_EQ(cast.text(roles.counterpart), source);
  EXPECT_EQ(roles.n, 20);
  ASSERT_EQ(roles.donors.size(), 1u);
  EXPECT_EQ(cast.text(roles.donors[0].prompt), source);
  EXPECT_EQ(roles.donors[0].m, 33);
  EXPECT_EQ(roles.donors[0].m_window, 33);
}

TEST(Donors, DirectionExchangesTheRoles) {
  const Cast cast("v_proj layers=1 direction=base_to_source");
  const Roles roles = cast.donors.roles(cast.arm(), PairIndex(0));
  EXPECT_EQ(cast.text(roles.base), source);
  EXPECT_EQ(cast.text(roles.donors.at(0).prompt), base);
}

TEST(Donors, ArmsWithoutPatchesHaveNone) {
  const Cast cast("source");
  const Roles roles = cast.donors.roles(cast.arm(), PairIndex(0));
  EXPECT_EQ(cast.text(roles.base), source);
  EXPECT_TRUE(roles.donors.empty());
}

TEST(Donors, OfASpanKnowItsTokensInBothPrompts) {
  PromptSet prompts = prompt_set({{source, base}, {std::string(25, 'a'), std::string(18, 'z')}});
  prompts.prompts[0].spans = R"({"place":[4,7]})";
  prompts.prompts[1].spans = R"({"place":[2,4]})";
  const SamplePlan plan =
      sample_plan(sample_config({"v_proj layers=1 positions=span:place"}), prompts);
  const Donors donors(plan, 1, sample_text());
  const Roles roles = donors.roles(plan.arms.at(0), PairIndex(0));
  EXPECT_EQ(roles.donors.at(0).tokens, (ChosenTokens{{4, 5, 6}, {2, 3}}));
  EXPECT_EQ(plan.refusal(plan.rows[0]), "");
  EXPECT_EQ(plan.bundles.back().rows.at(0).donors.at(0).tokens, roles.donors[0].tokens);
  EXPECT_EQ(plan.refusal(plan.rows[1]), "the prompt has no span \"place\"");
  EXPECT_EQ(plan.prompt(1).spans, prompts.prompts[1].spans);
  EXPECT_TRUE(says(refusal_message([&] {
                     sample_plan(sample_config({"v_proj layers=1 positions=span:plaice"}), prompts);
                   }),
                   {"span:plaice", "did you mean place?"}));
}

TEST(Donors, AreCutLikeTheirArm) {
  const Cast cast("v_proj layers=1");
  Arm arm = cast.arm();
  arm.truncate_at = 22;
  const Roles roles = cast.donors.roles(arm, PairIndex(0));
  EXPECT_EQ(roles.n, 20);
  EXPECT_EQ(roles.donors.at(0).m, 22);
}

TEST(Donors, OfSeveralPatchesAreEachPatchsOwn) {
  const Cast cast("kv_cache layers=1", "mean");
  Arm arm = cast.arm();
  arm.patches.resize(4, arm.patches[0]);
  arm.control = Control::other_base;
  arm.patches[1].donor = {DonorPrompt::self};
  arm.patches[2].donor = {DonorPrompt::donor_side, Derivation::mean};
  arm.patches[3].donor = {DonorPrompt::other_base, Derivation::gaussian};
  const Roles roles = cast.donors.roles(arm, PairIndex(0));
  ASSERT_EQ(roles.donors.size(), 4u);
  EXPECT_EQ(cast.text(roles.donors[0].prompt), source);
  EXPECT_EQ(cast.text(roles.donors[1].prompt), base);
  EXPECT_EQ(roles.donors[1].m, 20);
  EXPECT_EQ(roles.donors[2].derivation, Derivation::mean);
  EXPECT_EQ(roles.donors[2].m, 25);  // the shorter of the two sources
  EXPECT_EQ(roles.donors[3].derivation, Derivation::gaussian);
  EXPECT_EQ(cast.text(roles.donors[3].prompt), std::string(18, 'z'));
}

TEST(Donors, WindowsEndWhereThePromptsDo) {
  Cast cast("v_proj layers=1");
  for (PlannedPrompt& prompt : cast.plan.prompts) prompt.tokens_after_window = 4;
  Arm arm = cast.arm();
  arm.truncate_at = 30;  // the source loses 3 of its 4 last tokens
  const Roles roles = cast.donors.roles(arm, PairIndex(0));
  EXPECT_EQ(roles.n_window, 16);
  EXPECT_EQ(roles.donors.at(0).m_window, 29);
}

TEST(Donors, OfTheSameLengthAreOthersOfTheirSide) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const char letter : std::string("abcdef"))
    texts.emplace_back(std::string(letter < 'e' ? 30 : 31, letter), std::string(30, letter + 10));
  texts.push_back({texts[0].first, std::string(22, 'x')});
  texts.push_back({std::string(44, 'y'), texts[1].first});
  SweepConfig config = sample_config({"kv_cache layers=1"});
  config.controls = {{"same_length*3", "here"}};
  const SamplePlan plan = sample_plan(config, prompt_set(texts));
  const Donors donors(plan, 1, sample_text());
  const auto text_of = [&](PromptIndex prompt) { return plan.texts[prompt.value]; };
  for (std::int32_t pair = 0; pair < std::ssize(plan.pairs); ++pair) {
    const std::string own = texts[pair].first;
    std::set<std::string> others, found;
    for (const auto& [source, base] : texts)
      if (source.size() == own.size() && source != own && source != texts[pair].second)
        others.insert(source);
    for (const Arm& arm : std::span(plan.arms).subspan(1)) {
      const PatchDonor donor = donors.roles(arm, PairIndex(pair)).donors.at(0);
      if (donor.refusal.empty())
        EXPECT_TRUE(found.insert(text_of(donor.prompt)).second) << pair;
      else
        EXPECT_TRUE(says(donor.refusal, {"same_length", "as many tokens as the donor"}));
    }
    EXPECT_EQ(found.size(), std::min<std::size_t>(3, others.size())) << pair;
    for (const std::string& text : found) EXPECT_TRUE(others.contains(text)) << pair << text;
  }
}

TEST(Donors, WithoutAnyAreRefused) {
  const SamplePlan plan =
      sample_plan(sample_config({"kv_cache layers=1"}), prompt_set({{source, base}}));
  const Donors donors(plan, 1, sample_text());
  Arm arm = plan.arms.at(0);
  arm.control = Control::other_source;
  arm.patches[0].donor.prompt = DonorPrompt::other_source;
  EXPECT_TRUE(says(donors.roles(arm, PairIndex(0)).donors.at(0).refusal,
                   {"other_source needs another pair"}));
}

}  // namespace
}  // namespace rvsweep
