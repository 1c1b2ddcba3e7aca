#include "plan/control.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>

#include "plan/arm_forms.hpp"
#include "plan/sample_plan.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/philox.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::vector<ConfigValue> lines(const std::vector<std::string>& texts) {
  std::vector<ConfigValue> values;
  for (const auto& text : texts)
    values.push_back({text, "job.cfg:" + std::to_string(values.size() + 1)});
  return values;
}

/// Controls of the arms for a model of 8 layers.
std::vector<Arm> controls(const std::vector<std::string>& arms,
                          const std::vector<std::string>& asked) {
  return control_arms(lines(asked), parse_arms(lines(arms), sample_model(), 16), sample_model(), 1);
}

std::vector<std::string> labels(const std::vector<Arm>& arms) {
  std::vector<std::string> result;
  for (const Arm& arm : arms) result.push_back(arm.label);
  return result;
}

using Labels = std::vector<std::string>;

TEST(Controls, TableFollowsTheEnum) {
  int place = 0;
  for (const ControlInfo& info : all_controls()) EXPECT_EQ(static_cast<int>(info.control), place++);
  EXPECT_EQ(info_of(Control::reverse).name, "reverse");
}

TEST(Controls, ComeControlByControlArmByArm) {
  EXPECT_EQ(
      labels(controls({"base", "kv_cache layers=4:8", "v_proj layers=2", "kv_cache layers=0:4"},
                      {"self, gaussian", "mean"})),
      (Labels{"kv_cache 4:8 | self", "v_proj 2 | self", "kv_cache 0:4 | self",
              "kv_cache 4:8 | gaussian", "v_proj 2 | gaussian", "kv_cache 0:4 | gaussian",
              "kv_cache 4:8 | mean", "kv_cache 0:4 | mean"}));
}

TEST(Controls, OfOneArmByItsLabel) {
  EXPECT_EQ(labels(controls({"kv_cache layers=4:8", "kv_cache layers=0:4"},
                            {"self, zero control_of=kv_cache 0:4"})),
            (Labels{"kv_cache 0:4 | self", "kv_cache 0:4 | zero"}));
}

TEST(Controls, FullSwapIsMadeOncePerDirection) {
  const auto swaps = controls({"kv_cache layers=4:8", "kv_cache layers=0:4 growth=frozen",
                               "kv_cache layers=1 direction=base_to_source"},
                              {"full_swap"});
  ASSERT_EQ(labels(swaps), (Labels{"full_swap", "full_swap base_to_source"}));
  EXPECT_EQ(swaps[0].canonical(),
            "kv_cache layers=0:8 entry=hold_last growth=append align=rerotate what=kv "
            "positions=all heads=all alpha=1 direction=source_to_base control=full_swap");
}

TEST(Controls, WrongBandLiesBelowElseAbove) {
  const auto bands = controls({"kv_cache layers=4:8", "kv_cache layers=0:3", "kv_cache layers=2:7"},
                              {"wrong_band"});
  ASSERT_EQ(bands.size(), 3u);
  EXPECT_EQ(format_layers(bands[0].patches[0].layers), "0:4");
  EXPECT_EQ(format_layers(bands[1].patches[0].layers), "5:8");
  EXPECT_TRUE(says(bands[2].refusal, {"no band of 5 layers", "2:7"}));
  EXPECT_EQ(bands[0].refusal, "");
}

TEST(Controls, ReverseExchangesRolesAndIsItsOwnInverse) {
  const auto reversed = controls({"v_proj layers=2 direction=base_to_source"}, {"reverse"});
  ASSERT_EQ(reversed.size(), 1u);
  EXPECT_EQ(reversed[0].direction, Direction::source_to_base);
}

/// v_proj at layer 2 and the cache at layers 4 to 7.
Arm arm_of_two_patches() {
  const auto arms =
      parse_arms(lines({"v_proj layers=2", "kv_cache layers=4:8"}), sample_model(), 16);
  Arm arm = arms[0];
  arm.patches.push_back(arms[1].patches[0]);
  return arm;
}

TEST(Controls, ReachEveryPatchOfAnArm) {
  const auto of_two = [](const std::string& control) {
    return control_arms(lines({control}), {arm_of_two_patches()}, sample_model(), 1).at(0);
  };
  for (const Patch& patch : of_two("gaussian").patches) {
    EXPECT_EQ(patch.donor.derivation, Derivation::gaussian);
    EXPECT_EQ(patch.donor.prompt, DonorPrompt::pair);
  }
  for (const Patch& patch : of_two("other_base").patches)
    EXPECT_EQ(patch.donor.prompt, DonorPrompt::other_base);
}

TEST(Controls, MoveEveryPatchToAnotherBand) {
  std::vector<Arm> arms = parse_arms(lines({"kv_cache layers=4:8"}), sample_model(), 16);
  arms[0].patches.push_back(arms[0].patches[0]);
  arms[0].patches[1].layers = {0, 1};
  const auto moved = control_arms(lines({"wrong_band"}), arms, sample_model(), 1).at(0);
  EXPECT_EQ(format_layers(moved.patches[0].layers), "0:4");
  EXPECT_EQ(format_layers(moved.patches[1].layers), "6:8");
  EXPECT_EQ(moved.refusal, "");
  arms[0].patches[1].layers = {1, 2, 3, 4, 5, 6};
  EXPECT_TRUE(says(control_arms(lines({"wrong_band"}), arms, sample_model(), 1).at(0).refusal,
                   {"no band of 6 layers", "1:7"}));
}

TEST(Controls, OfOnePatchLeaveTheOthers) {
  const std::vector<std::string> joint{"kv_cache layers=4:8 & v_proj layers=2 label=joint"};
  const Arm filled = controls(joint, {"filler control_of=joint.1"}).at(0);
  EXPECT_EQ(filled.label, "joint.1 | filler");
  EXPECT_EQ(filled.patches[0].donor.prompt, DonorPrompt::filler);
  EXPECT_EQ(filled.patches[1].donor.prompt, DonorPrompt::pair);
  EXPECT_TRUE(filled.canonical().ends_with(" control=filler patch=1"));
  const Arm moved = controls(joint, {"wrong_band control_of=joint.1"}).at(0);
  EXPECT_EQ(format_layers(moved.patches[0].layers), "0:4");
  EXPECT_EQ(format_layers(moved.patches[1].layers), "2");
  const auto refusal = [&](const std::string& asked) {
    return refusal_message([&] { controls(joint, {asked}); });
  };
  EXPECT_TRUE(says(refusal("filler control_of=joint.2"), {"filler", "no arm"}));
  EXPECT_TRUE(says(refusal("reverse control_of=joint.1"), {"reverse", "no arm"}));
  EXPECT_TRUE(says(refusal("self control_of=joint.3"), {"joint.3", "did you mean joint?"}));
}

TEST(Controls, RefusedWhereMovedBandsOverlap) {
  const auto moved = controls({"kv_cache layers=4:8 & kv_cache layers=3"}, {"wrong_band"}).at(0);
  EXPECT_TRUE(says(moved.refusal, {"two kv_cache patches of layer 0"}));
}

TEST(Controls, OfTheCacheAloneAreNotThoseOfAnArmThatPatchesASiteToo) {
  EXPECT_TRUE(says(refusal_message([] {
                     control_arms(lines({"mean"}), {arm_of_two_patches()}, sample_model(), 1);
                   }),
                   {"mean", "no arm", "kv_cache"}));
}

TEST(Controls, AreAskedForSeveralTimes) {
  const auto others = controls({"kv_cache layers=4:8"}, {"other_base*3"});
  EXPECT_EQ(labels(others), (Labels{"kv_cache 4:8 | other_base", "kv_cache 4:8 | other_base:2",
                                    "kv_cache 4:8 | other_base:3"}));
  const Arm once = controls({"kv_cache layers=4:8"}, {"other_base"})[0];
  EXPECT_EQ(others[0].canonical(), once.canonical());
  EXPECT_TRUE(others[1].canonical().ends_with(" control=other_base:2"));
  EXPECT_EQ(others[2].patches[0].donor.number, 3);
}

TEST(Controls, OfOnePatchAreAskedForSeveralTimes) {
  const std::vector<std::string> joint{"kv_cache layers=4:8 & v_proj layers=2 label=joint"};
  const Arm other = controls(joint, {"other_base*2 control_of=joint.1"}).at(1);
  EXPECT_EQ(other.label, "joint.1 | other_base:2");
  EXPECT_EQ(other.patches[0].donor.number, 2);
  EXPECT_EQ(other.patches[1].donor.prompt, DonorPrompt::pair);
  EXPECT_TRUE(other.canonical().ends_with(" control=other_base:2 patch=1"));
  const Arm drawn = controls(joint, {"random_layers*3 control_of=joint.2"}).at(2);
  EXPECT_EQ(format_layers(drawn.patches[0].layers), "4:8");
  EXPECT_NE(format_layers(drawn.patches[1].layers), "2");
  EXPECT_TRUE(drawn.canonical().ends_with(" control=random_layers:3 patch=2 of=2"));
  EXPECT_EQ(controls(joint, {"random_layers"}).at(0).control_of, "4:8/2");
}

TEST(Controls, RandomLayersAreAsManyAndNeverTheSame) {
  const auto drawn = [](const std::string& asked, const std::string& layers = "4:8") {
    std::vector<std::string> sets;
    for (const Arm& arm : controls({"kv_cache layers=" + layers}, {asked})) {
      EXPECT_EQ(arm.control_of, layers);
      sets.push_back(arm.refusal.empty() ? format_layers(arm.patches[0].layers) : "");
      if (arm.refusal.empty()) {
        EXPECT_EQ(arm.patches[0].layers.size(), parse_layer_sets(layers, 8)[0].size());
      }
    }
    return sets;
  };
  const auto sets = drawn("random_layers*20");
  EXPECT_EQ(std::set<std::string>(sets.begin(), sets.end()).size(), 20u);
  EXPECT_EQ(std::ranges::count(sets, "4:8"), 0);
  const auto fewer = drawn("random_layers*3");
  EXPECT_TRUE(std::ranges::equal(fewer, std::span(sets).first(3)));
  // A model of 8 layers has 7 other sets of one layer, and none of eight.
  const auto single = drawn("random_layers*8", "2");
  EXPECT_EQ(std::ranges::count(single, ""), 1);
  EXPECT_EQ(drawn("random_layers", "0:8"), std::vector<std::string>{""});
}

TEST(Controls, RefusedNamingTheirPlace) {
  const std::vector<std::string> arms{"base", "kv_cache layers=4:8", "v_proj layers=2"};
  const auto refusal = [&](const std::vector<std::string>& asked) {
    return refusal_message([&] { controls(arms, asked); });
  };
  EXPECT_TRUE(
      says(refusal({"self", "gausian"}), {"job.cfg:2", "gausian", "did you mean gaussian?"}));
  EXPECT_TRUE(says(refusal({"self, self"}), {"job.cfg:1", "self", "twice"}));
  EXPECT_TRUE(says(refusal({"zero control_of=kv_cache 4:9"}), {"kv_cache 4:9", "kv_cache 4:8"}));
  EXPECT_TRUE(says(refusal({"mean control_of=v_proj 2"}), {"mean", "no arm", "kv_cache"}));
  EXPECT_TRUE(says(refusal({"none"}), {"none"}));
  EXPECT_TRUE(says(refusal({"self*2"}), {"job.cfg:1", "self", "several times"}));
  EXPECT_TRUE(says(refusal({"other_base*0"}), {"job.cfg:1", "other_base*0", "other_base*K"}));
  EXPECT_TRUE(says(refusal({"other_base*x"}), {"other_base*x"}));
  EXPECT_TRUE(says(refusal({"other_base, other_base*2"}), {"other_base", "twice"}));
}

/// Of a row with one patch, into contexts and derived.
std::int32_t donor_of(const BundleRow& row) { return row.donors.at(0).index; }

/// Donor of every row of an arm, by text.
std::vector<std::string> donors(const SamplePlan& plan, Control control, std::int32_t copy = 1) {
  std::vector<std::string> texts(plan.pairs.size());
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& row : bundle.rows)
      if (const Arm& arm = plan.arms[row.arm.value]; arm.control == control && arm.copy == copy)
        texts[plan.rows[row.row.value].pair.value] = bundle.contexts.at(donor_of(row)).text;
  return texts;
}

std::string letters(char letter, std::size_t n = 30) { return std::string(n, letter); }

TEST(PlannedControls, OtherDonorsFollowASeededCyclicOrder) {
  auto config = sample_config({"kv_cache layers=4:8"});
  config.controls = lines({"other_base, other_source"});
  const auto plan = sample_plan(config, prompt_set({{letters('a'), letters('A')},
                                                    {letters('b'), letters('B')},
                                                    {letters('c'), letters('C')},
                                                    {letters('d'), letters('D')}}));
  const auto order = permutation(xxh3_fields({"1", "derangement"}), 0, 4);
  const auto bases = donors(plan, Control::other_base),
             sources = donors(plan, Control::other_source);
  for (int i = 0; i < 4; ++i) {
    const auto next = static_cast<char>('a' + order[(i + 1) % 4]);
    EXPECT_EQ(sources[order[i]], letters(next));
    EXPECT_EQ(bases[order[i]], letters(static_cast<char>(next - 'a' + 'A')));
  }
}

TEST(PlannedControls, SeveralDonorsOfAPairAreDistinctAndEachGivesToEachPairOnce) {
  auto config = sample_config({"kv_cache layers=4:8"});
  config.controls = lines({"other_base*4"});
  const auto plan = sample_plan(config, prompt_set({{letters('a'), letters('A')},
                                                    {letters('b'), letters('B')},
                                                    {letters('c'), letters('C')},
                                                    {letters('d'), letters('D')}}));
  std::set<std::pair<std::string, std::size_t>> given;
  for (const int copy : {1, 2, 3}) {
    const auto texts = donors(plan, Control::other_base, copy);
    EXPECT_EQ(std::set(texts.begin(), texts.end()).size(), 4u);
    for (std::size_t pair = 0; pair < 4; ++pair) {
      EXPECT_NE(texts[pair], letters(static_cast<char>('A' + pair)));
      EXPECT_TRUE(given.emplace(texts[pair], pair).second);
    }
  }
  EXPECT_TRUE(says(plan.refusal(plan.rows[4]), {"other_base:4", "another pair"}));
}

TEST(PlannedControls, AnotherPairsPromptIsNeverTheRecipients) {
  auto config = sample_config({"kv_cache layers=4:8"});
  config.controls = lines({"other_base"});
  const auto same = sample_plan(config, prompt_set({{letters('a'), letters('x')},
                                                    {letters('b'), letters('x')},
                                                    {letters('c'), letters('y')}}));
  const auto texts = donors(same, Control::other_base);
  EXPECT_EQ(texts[0], letters('y'));
  EXPECT_EQ(texts[1], letters('y'));
  EXPECT_EQ(texts[2], letters('x'));
  const auto alone = sample_plan(config, prompt_set({{letters('a'), letters('x')}}));
  EXPECT_TRUE(says(alone.refusal(alone.rows[1]), {"other_base", "another pair"}));
}

TEST(PlannedControls, TheFillerIsAsLongAsTheDonorOrRefused) {
  auto config = sample_config({"kv_cache layers=4:8"});
  config.controls = lines({"filler"});
  const auto plan = sample_plan(
      config, prompt_set({{letters('a', 33), letters('x')}, {letters('a', 401), letters('x')}}));
  const BundleRow& row = plan.bundles[0].rows[1];
  EXPECT_EQ(plan.bundles[0].contexts.at(donor_of(row)).tokens, std::vector<std::int32_t>(33, 'f'));
  EXPECT_FALSE(plan.bundles[0].contexts.at(donor_of(row)).records_prompt);
  EXPECT_TRUE(says(plan.refusal(plan.rows[3]), {"filler", "400", "401"}));
  PlanText empty = sample_text();
  empty.filler.clear();
  const auto prompts = prompt_set({{letters('a'), letters('x')}});
  EXPECT_TRUE(says(
      refusal_message([&] { make_plan(config, sample_model(), prompts, empty, "cpu", "float32"); }),
      {"prompts.filler", "empty"}));
}

TEST(PlannedControls, TheMeanLeavesOutPromptsBeyondTheModel) {
  auto config = sample_config({"kv_cache layers=4:8"});
  config.controls = lines({"mean"});
  const std::string beyond(static_cast<std::size_t>(sample_model().max_positions) + 1, 'b');
  const auto plan =
      sample_plan(config, prompt_set({{letters('a', 33), letters('x')}, {beyond, letters('y')}}));
  EXPECT_EQ(plan.mean_prompts[0].size(), 1u);
  EXPECT_EQ(plan.refusal(plan.rows[3]), "");
  const auto alone = sample_plan(config, prompt_set({{beyond, letters('y')}}));
  EXPECT_TRUE(says(alone.refusal(alone.rows[1]), {"no prompt of the donor side"}));
}

TEST(PlannedControls, HaveLabelsThatNoArmHas) {
  auto config = sample_config({"kv_cache layers=4:8 label=full_swap"});
  config.controls = lines({"full_swap"});
  EXPECT_TRUE(says(refusal_message([&] { all_arms(config, sample_model()); }),
                   {"sweep.arm", "\"full_swap\"", "label="}));
}

TEST(PlannedControls, DerivedDonorsAreSharedByTheRowsOfAPair) {
  auto config = sample_config({"kv_cache layers=4:8", "kv_cache layers=0:4 entry=refeed"}, 2);
  config.controls = lines({"gaussian, shuffled, zero, mean"});
  const auto plan = sample_plan(config, prompt_set({{letters('a', 33), letters('x', 20)},
                                                    {letters('b', 25), letters('y', 20)}}));
  ASSERT_EQ(plan.bundles.size(), 4u);  // 20 rows a pair, at most 16 a bundle
  std::set<std::tuple<Derivation, std::int64_t, std::int64_t, std::string>> found;
  for (const Bundle& bundle : plan.bundles)
    for (const DerivedDonor& d : bundle.derived)
      found.emplace(d.derivation, d.tokens, d.cells, d.pair_id);
  EXPECT_EQ(found, (decltype(found){{Derivation::zero, 33, 0, ""},
                                    {Derivation::zero, 25, 0, ""},
                                    {Derivation::gaussian, 33, 0, "pair-0"},
                                    {Derivation::gaussian, 25, 0, "pair-1"},
                                    {Derivation::shuffled, 33, 32, "pair-0"},
                                    {Derivation::shuffled, 33, 33, "pair-0"},
                                    {Derivation::shuffled, 25, 24, "pair-1"},
                                    {Derivation::shuffled, 25, 25, "pair-1"},
                                    {Derivation::mean, 25, 0, ""}}));
  EXPECT_EQ(plan.mean_prompts[0].size(), 2u);
  EXPECT_TRUE(plan.mean_prompts[1].empty());
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& row : bundle.rows)
      EXPECT_EQ(donor_of(row) >= std::ssize(bundle.contexts),
                plan.arms[row.arm.value].control != Control::none);
}

}  // namespace
}  // namespace rvsweep
