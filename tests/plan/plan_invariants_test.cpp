// What every plan keeps to, on random sweeps.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "plan/refusal.hpp"
#include "plan/sample_plan.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/wire.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

struct Sweep {
  SweepConfig config;
  ModelConfig model;
  PromptSet prompts;
  SamplePlan plan;
};

/// Few and many pairs, some sharing prompts; empty, short, long and far too long ones.
Sweep random_sweep(unsigned seed) {
  std::mt19937 generator(seed);
  const auto up_to = [&](unsigned most) { return generator() % (most + 1); };
  static const std::vector<std::string> arms{"base",
                                             "source",
                                             "v_proj layers=2",
                                             "v_proj layers=3 window_policy=shrink decode=persist",
                                             "kv_cache layers=4:8",
                                             "kv_cache layers=4:8 direction=base_to_source",
                                             "kv_cache layers=0:8 align=matched entry=refeed",
                                             "kv_cache layers=0:8 positions=last:3 what=k heads=1",
                                             "kv_cache layers=0:8 alpha=0.5",
                                             "resid_post layers=3 alpha=0.25",
                                             "preset:notebook_b layers=5",
                                             "preset:notebook_c_v1 layers=4:8",
                                             "preset:notebook_c_v2 layers=4:8"};
  std::vector<std::string> chosen;
  for (const auto& arm : arms)
    if (up_to(2) > 0) chosen.push_back(arm);
  Sweep sweep;
  sweep.config = sample_config(chosen, static_cast<std::int32_t>(1 + up_to(4)));
  sweep.config.bundle_rows = 8 + up_to(40);
  sweep.config.window = 2 + up_to(30);
  sweep.config.readouts.reencode = up_to(1) == 1;
  sweep.config.readouts.first_token = up_to(1) == 1;
  sweep.config.readouts.forced = up_to(1) == 1;
  sweep.model = sample_model(500 + up_to(300));
  std::vector<std::string> texts;
  const auto a_text = [&] {
    if (!texts.empty() && up_to(3) == 0)
      return texts[up_to(static_cast<unsigned>(texts.size()) - 1)];
    constexpr unsigned longest[] = {0, 10, 40, 40, 120, 120, 600, 1500};
    std::string text(up_to(longest[up_to(7)]), ' ');
    for (char& c : text) c = static_cast<char>('a' + up_to(25));
    return texts.emplace_back(text);
  };
  std::vector<std::pair<std::string, std::string>> pairs;
  for (unsigned n = up_to(40); n > 0; --n) {
    const std::string source = a_text();
    pairs.emplace_back(source, a_text());
  }
  sweep.prompts = prompt_set(pairs);
  const std::vector<Arm> planned = all_arms(sweep.config, sweep.model);
  for (PromptPair& pair : sweep.prompts.pairs)
    for (const Arm& arm : planned)
      if (&pair - sweep.prompts.pairs.data() >= 20 && up_to(2) == 0) pair.arms.push_back(arm.label);
  sweep.plan = sample_plan(sweep.config, sweep.prompts, sweep.model);
  return sweep;
}

class PlanInvariants : public ::testing::TestWithParam<unsigned> {
 protected:
  const Sweep sweep = random_sweep(GetParam());
  const SamplePlan& plan = sweep.plan;

  PromptIndex base_of(const PlannedRow& row) const {
    const Arm& arm = plan.arms[row.arm.value];
    const PromptPair& pair = plan.pairs[row.pair.value];
    const bool from_source = arm.direction == Direction::base_to_source;
    return from_source ? pair.source : pair.base;
  }
  PromptIndex donor_of(const PlannedRow& row) const {
    const PromptPair& pair = plan.pairs[row.pair.value];
    return base_of(row) == pair.base ? pair.source : pair.base;
  }
  std::vector<std::int32_t> seen_by(const PlannedRow& row, PromptIndex prompt) const {
    const auto at = plan.arms[row.arm.value].truncate_at;
    const std::string& text = sweep.prompts.prompts[prompt.value].text;
    return bytes_as_tokens(at == 0 ? text : text.substr(0, static_cast<std::size_t>(at)));
  }
  bool usable(std::size_t prompt) const {
    const auto n = std::ssize(sweep.prompts.prompts[prompt].text);
    return n > 0 && n <= sweep.model.max_positions;
  }
};

TEST_P(PlanInvariants, RowIdsAreUnique) {
  std::set<std::uint64_t> ids;
  for (const auto& row : plan.rows) ids.insert(row.id.value);
  std::size_t asked = 0;
  for (const PromptPair& pair : plan.pairs)
    for (const Arm& arm : plan.arms)
      asked += !arm.is_patched() || pair.arms.empty() ||
               std::ranges::find(pair.arms, arm.label) != pair.arms.end();
  EXPECT_EQ(ids.size(), asked * sweep.config.generation.samples);
  EXPECT_EQ(ids.size(), plan.rows.size());
}

TEST_P(PlanInvariants, RowsAreRefusedForTheReasonOfTheirLengths) {
  std::int64_t refused = 0;
  for (const auto& row : plan.rows) {
    const Arm& arm = plan.arms[row.arm.value];
    Roles roles;
    roles.n = roles.n_window = std::ssize(seen_by(row, base_of(row)));
    const auto m = std::ssize(seen_by(row, donor_of(row)));
    roles.donors.assign(arm.patches.size(), {.m = m, .m_window = m});
    EXPECT_EQ(plan.refusal(row), refusal_of(arm, roles, sweep.config.generation, sweep.model));
    refused += row.refusal != 0;
  }
  EXPECT_EQ(plan.n_refused(), refused);
}

TEST_P(PlanInvariants, EachRunnableRowIsInOneBundleAndNoRefusedOne) {
  std::vector<int> times(plan.rows.size(), 0);
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& row : bundle.rows) ++times.at(row.row.value);
  for (std::size_t i = 0; i < times.size(); ++i)
    EXPECT_EQ(times[i], plan.refusal(plan.rows[i]).empty() ? 1 : 0) << i;
}

TEST_P(PlanInvariants, BundlesKeepToTheirCapacityAndCanonicalShape) {
  for (std::size_t i = 0; i < plan.bundles.size(); ++i) {
    const Bundle& bundle = plan.bundles[i];
    const auto rows = std::ssize(bundle.rows), contexts = std::ssize(bundle.contexts);
    EXPECT_EQ(bundle.id.value, static_cast<std::int32_t>(i));
    EXPECT_LE(rows, plan.bundle_rows);
    EXPECT_LE(contexts, 2 * plan.bundle_rows);
    EXPECT_GT(contexts, 0);
    EXPECT_GT(bundle.cost, 0);
    EXPECT_EQ(bundle.shape.rows, rows == 0 ? 0 : padded_rows(rows, bundle.shape.prompt_length));
    EXPECT_EQ(bundle.shape.contexts, padded_prompts(contexts, bundle.shape.prompt_length));
    EXPECT_EQ(bundle.shape.prompt_length, canonical_length(bundle.shape.prompt_length));
    EXPECT_GE(bundle.shape.prompt_length, sweep.config.window);
  }
}

TEST_P(PlanInvariants, ContextsFitTheirBundleDifferAndServeSomething) {
  for (const Bundle& bundle : plan.bundles) {
    std::set<std::pair<std::int32_t, std::size_t>> seen;
    std::vector<bool> used;
    for (const auto& context : bundle.contexts) {
      EXPECT_LE(std::ssize(context.tokens), bundle.shape.prompt_length);
      EXPECT_FALSE(context.tokens.empty());
      EXPECT_TRUE(seen.emplace(context.prompt.value, context.tokens.size()).second);
      EXPECT_EQ(context.text, sweep.prompts.prompts[context.prompt.value].text);
      used.push_back(context.records_prompt);
    }
    for (const BundleRow& row : bundle.rows) {
      used.at(row.base) = true;
      for (const std::int32_t other : {row.reference, row.counterpart})
        if (other >= 0) used.at(other) = true;
      for (const RowDonor& donor : row.donors) used.at(donor.index) = true;
    }
    EXPECT_EQ(std::count(used.begin(), used.end(), false), 0);
  }
}

TEST_P(PlanInvariants, RowsNameTheTokensTheirArmSees) {
  for (const Bundle& bundle : plan.bundles)
    for (const BundleRow& row : bundle.rows) {
      const PlannedRow& planned = plan.rows[row.row.value];
      const Arm& arm = plan.arms[planned.arm.value];
      EXPECT_EQ(row.arm, planned.arm);
      EXPECT_EQ(row.sample, planned.sample);
      EXPECT_EQ(row.pair_hash, xxh3(plan.pairs[planned.pair.value].id));
      EXPECT_EQ(row.answers, plan.pairs[planned.pair.value].answers);
      const BundleContext& base = bundle.contexts.at(row.base);
      EXPECT_EQ(base.prompt, base_of(planned));
      EXPECT_EQ(base.tokens, seen_by(planned, base_of(planned)));
      if (!arm.is_patched()) {
        EXPECT_TRUE(row.donors.empty());
        continue;
      }
      const BundleContext& donor = bundle.contexts.at(row.donors.at(0).index);
      EXPECT_EQ(donor.prompt, donor_of(planned));
      EXPECT_EQ(donor.tokens, seen_by(planned, donor_of(planned)));
    }
}

TEST_P(PlanInvariants, EachUsablePromptIsRecordedOnceAndWhole) {
  std::vector<int> times(plan.prompts.size(), 0);
  for (const Bundle& bundle : plan.bundles)
    for (const auto& context : bundle.contexts) {
      if (!context.records_prompt) continue;
      ++times.at(context.prompt.value);
      EXPECT_EQ(context.tokens, bytes_as_tokens(sweep.prompts.prompts[context.prompt.value].text));
    }
  for (std::size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i], usable(i) ? 1 : 0) << i;
}

TEST_P(PlanInvariants, TheSamePlanEveryTime) {
  const SamplePlan again = sample_plan(sweep.config, sweep.prompts, sweep.model);
  ASSERT_EQ(again.bundles.size(), plan.bundles.size());
  for (std::size_t i = 0; i < plan.bundles.size(); ++i)
    EXPECT_EQ(to_bytes(again.bundles[i]), to_bytes(plan.bundles[i]));
}

INSTANTIATE_TEST_SUITE_P(RandomSweeps, PlanInvariants, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace rvsweep
