#include "plan/refusal.hpp"

#include <gtest/gtest.h>

#include "plan/arm_forms.hpp"
#include "plan/sample_plan.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t positions = 100, max_new = 20;

Arm arm(const std::string& text) { return parse_arms({{text, "here"}}, sample_model(), 16).at(0); }

/// A base of n tokens and a donor of m for each patch, its keywords the tokens 2 and 5.
Roles roles(const Arm& of, std::int64_t n, std::int64_t m) {
  Roles roles;
  roles.n = roles.n_window = n;
  roles.donors.assign(of.patches.size(), {.m = m, .m_window = m, .tokens = {{2, 5}, {}}});
  return roles;
}

std::string reason(const std::string& arm_text, std::int64_t n, std::int64_t m,
                   const ModelConfig& model = sample_model(positions)) {
  GenerationConfig generation;
  generation.max_new_tokens = max_new;
  return refusal_of(arm(arm_text), roles(arm(arm_text), n, m), generation, model);
}

TEST(RefusalOf, LetsOrdinaryRowsRun) {
  for (const std::string text :
       {"base", "source", "v_proj layers=3", "v_proj layers=3 window_policy=shrink",
        "kv_cache layers=4:8", "kv_cache layers=4:8 entry=refeed align=as_is growth=compound",
        "preset:notebook_b layers=3", "preset:notebook_c_v1 layers=4:8"})
    EXPECT_EQ(reason(text, 30, 40), "") << text;
}

TEST(RefusalOf, EmptyPrompts) {
  EXPECT_TRUE(says(reason("base", 0, 0), {"the prompt is empty"}));
  EXPECT_TRUE(says(reason("kv_cache layers=4:8", 0, 30), {"the prompt is empty"}));
  EXPECT_TRUE(says(reason("kv_cache layers=4:8", 30, 0), {"the donor prompt is empty"}));
  EXPECT_TRUE(
      says(reason("v_proj layers=3 window_policy=shrink", 30, 0), {"the donor prompt is empty"}));
}

// The last sampled token is never fed, so n + max_new - 1 positions are needed, one more where
// b[n-1] is fed again.
TEST(RefusalOf, RowsBeyondTheModelsPositions) {
  EXPECT_EQ(reason("base", 81, 0), "");
  EXPECT_TRUE(says(reason("base", 82, 0), {"82 tokens", "20 tokens to generate", "100 positions"}));
  EXPECT_EQ(reason("kv_cache layers=4:8", 81, 30), "");
  EXPECT_NE(reason("kv_cache layers=4:8", 82, 30), "");
  EXPECT_EQ(reason("kv_cache layers=4:8 entry=refeed", 80, 30), "");
  EXPECT_NE(reason("kv_cache layers=4:8 entry=refeed", 81, 30), "");
  EXPECT_EQ(reason("v_proj layers=3", 81, 30), "");
  EXPECT_NE(reason("v_proj layers=3", 82, 30), "");
}

TEST(RefusalOf, StepsThatNoRowReaches) {
  EXPECT_EQ(reason("v_proj layers=3 decode=persist from_step=19", 30, 30), "");
  EXPECT_TRUE(says(reason("v_proj layers=3 decode=persist from_step=20", 30, 30),
                   {"from_step=20", "max_new_tokens=20", "steps 0 to 19"}));
  EXPECT_EQ(reason("kv_cache layers=3 at_step=19", 30, 30), "");
  EXPECT_TRUE(
      says(reason("kv_cache layers=3 at_step=20", 30, 30), {"at_step=20", "steps 0 to 19"}));
}

TEST(RefusalOf, DonorsBeyondTheModelsPositions) {
  EXPECT_EQ(reason("kv_cache layers=4:8", 30, 100), "");
  EXPECT_TRUE(says(reason("kv_cache layers=4:8", 30, 101),
                   {"the donor prompt of 101 tokens", "100 positions"}));
}

TEST(RefusalOf, NoRowThatOutgrowsTheSlidingWindow) {
  ModelConfig model = sample_model(positions);
  model.sliding_window = 20;
  model.local_layers.assign(static_cast<std::size_t>(model.n_layers), true);
  for (const char* arm : {"base", "kv_cache layers=4:8 entry=refeed growth=compound",
                          "kv_cache layers=4:8 growth=frozen", "v_proj layers=3"})
    EXPECT_EQ(reason(arm, 80, 99, model), "") << arm;
  EXPECT_TRUE(says(reason("base", 82, 0, model), {"100 positions"}));
}

TEST(RefusalOf, TurnedKeysOfLearnedPositions) {
  ModelConfig model = sample_model(positions);
  model.learned_positions = true;
  EXPECT_TRUE(says(reason("kv_cache layers=4:8", 30, 30, model), {"align=rerotate", "learned"}));
  EXPECT_EQ(reason("kv_cache layers=4:8 align=as_is", 30, 40, model), "");
  EXPECT_EQ(reason("kv_cache layers=4:8 align=matched", 30, 30, model), "");
  EXPECT_EQ(reason("v_proj layers=3", 30, 40, model), "");
}

TEST(RefusalOf, VProjOnPromptsShorterThanTheWindow) {
  EXPECT_EQ(reason("v_proj layers=3", 16, 16), "");
  EXPECT_TRUE(says(reason("v_proj layers=3", 15, 30), {"16 tokens", "15", "30", "shrink"}));
  EXPECT_TRUE(says(reason("v_proj layers=3", 30, 15), {"16 tokens", "15", "30", "shrink"}));
  EXPECT_EQ(reason("v_proj layers=3 window_policy=shrink", 1, 1), "");
  EXPECT_EQ(reason("preset:notebook_b layers=3", 3, 15), "");
}

TEST(RefusalOf, OtherArmsRunOnPromptsShorterThanTheWindow) {
  EXPECT_EQ(reason("base", 1, 0), "");
  EXPECT_EQ(reason("kv_cache layers=4:8", 3, 5), "");
}

TEST(RefusalOf, MatchedWithUnequalLengths) {
  EXPECT_EQ(reason("kv_cache layers=4:8 align=matched", 30, 30), "");
  EXPECT_TRUE(says(reason("kv_cache layers=4:8 align=matched", 30, 31),
                   {"align=matched", "30", "31 tokens"}));
}

TEST(RefusalOf, MixturesOfWholeCachesOfUnequalLength) {
  for (const std::string setting : {"what=k", "what=v", "heads=1", "alpha=0.5"}) {
    EXPECT_EQ(reason("kv_cache layers=4:8 " + setting, 30, 30), "");
    EXPECT_TRUE(says(reason("kv_cache layers=4:8 " + setting, 30, 31), {"equal length", "31"}));
    EXPECT_EQ(reason("kv_cache layers=4:8 positions=last:4 " + setting, 30, 31), "");
  }
}

TEST(RefusalOf, PositionsThatSelectNoCell) {
  EXPECT_EQ(reason("kv_cache layers=4:8 positions=span:5:9", 30, 7), "");
  EXPECT_TRUE(
      says(reason("kv_cache layers=4:8 positions=span:5:9", 30, 6), {"span:5:9", "no cell"}));
  EXPECT_TRUE(says(reason("kv_cache layers=4:8 positions=not_bos", 30, 2), {"not_bos", "no cell"}));
  EXPECT_TRUE(says(reason("kv_cache layers=4:8 positions=last:3", 1, 30), {"last:3", "no cell"}));
  EXPECT_EQ(reason("kv_cache layers=4:8 positions=words:k", 30, 4), "");
  EXPECT_NE(reason("kv_cache layers=4:8 positions=words:k", 30, 3), "");
}

TEST(RefusalOf, PositionsOfSitesThatSelectNoToken) {
  EXPECT_EQ(reason("v_proj layers=3 positions=all", 1, 40), "");
  EXPECT_EQ(reason("v_proj layers=3 positions=last:3 heads=1 alpha=0.5", 5, 4), "");
  EXPECT_TRUE(
      says(reason("v_proj layers=3 positions=span:5:9", 30, 5), {"span:5:9", "30", "5 tokens"}));
  EXPECT_EQ(reason("v_proj layers=3 positions=words:k", 30, 3), "");  // token 2, which is the last
  EXPECT_NE(reason("v_proj layers=3 positions=words:k", 30, 2), "");
}

TEST(RefusalOf, PromptsWithoutTheSpan) {
  for (const std::string text :
       {"v_proj layers=3 positions=span:place", "kv_cache layers=3 positions=span:place:last"}) {
    Roles row = roles(arm(text), 30, 30);
    const auto refusal = [&](const ChosenTokens& tokens) {
      row.donors[0].tokens = tokens;
      return refusal_of(arm(text), row, {.max_new_tokens = max_new}, sample_model(positions));
    };
    EXPECT_EQ(refusal({{2}, {3}}), "");
    EXPECT_EQ(refusal({{2}, {}}), "the prompt has no span \"place\"");
    EXPECT_EQ(refusal({{}, {3}}), "the donor prompt has no span \"place\"");
  }
}

TEST(RefusalOf, SitesLikeVProj) {
  EXPECT_TRUE(says(reason("resid_pre layers=3", 15, 30), {"resid_pre", "16 tokens", "shrink"}));
  EXPECT_EQ(reason("z layers=3 heads=0 window_policy=shrink", 1, 1), "");
}

TEST(RefusalOf, AnyPatchThatCannotBeMade) {
  Arm two = arm("kv_cache layers=4:8");
  two.patches.push_back(arm("v_proj layers=3").patches[0]);
  const auto reason_of = [&](const Roles& roles) {
    return refusal_of(two, roles, {.max_new_tokens = max_new}, sample_model(positions));
  };
  Roles lengths = roles(two, 30, 40);
  EXPECT_EQ(reason_of(lengths), "");
  lengths.donors[1].m = lengths.donors[1].m_window = 15;
  EXPECT_TRUE(says(reason_of(lengths), {"v_proj patches the last 16 tokens", "30 and 15"}));
  lengths.donors[0].refusal = "no donor";
  EXPECT_EQ(reason_of(lengths), "no donor");
  lengths.donors[0].m = 0;
  EXPECT_EQ(reason_of(lengths), "the donor prompt is empty");
}

TEST(RefusalOf, ADonorWithoutCachedPositions) {
  EXPECT_TRUE(says(reason("kv_cache layers=4:8", 30, 1), {"no cached position"}));
  EXPECT_EQ(reason("kv_cache layers=4:8 entry=refeed", 30, 1), "");
  EXPECT_EQ(reason("kv_cache layers=4:8", 1, 30), "");
}

}  // namespace
}  // namespace rvsweep
