#include "plan/packer.hpp"

#include <gtest/gtest.h>

#include "plan/sample_plan.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

const std::string source = std::string(30, 's') + "kk", base(20, 'b');

/// The bundles of a plan whose second arm has patches of three donors: the pair's, gaussian and
/// mean. Its first arm is base, its third patches from the pair alone.
struct Packed {
  SweepConfig config =
      sample_config({"base", "kv_cache layers=1 positions=words:W+v", "kv_cache layers=2"}, 2);
  SamplePlan plan;

  Packed() : plan(sample_plan(config, prompt_set({{source, base}}))) {
    Arm& arm = plan.arms.at(1);
    arm.patches.resize(3, arm.patches[0]);
    arm.patches[0].target = CacheTarget{};
    arm.patches[1].donor.derivation = Derivation::gaussian;
    arm.patches[2].donor = {DonorPrompt::donor_side, Derivation::mean};
    Plan& packed = plan;
    packed.bundles.clear();
    packed.mean_prompts[0] = {packed.tokens[0]};
    pack_bundles(packed, config, sample_model(), Donors(packed, 1, sample_text()), nullptr);
  }
};

TEST(Packer, GivesEveryPatchOfARowItsDonor) {
  const Packed packed;
  const Plan& plan = packed.plan;
  ASSERT_EQ(plan.bundles.size(), 1u);
  EXPECT_EQ(plan.bundles[0].donors.size(), 2u * (3 + 1));
  const Bundle bundle = complete_bundle(plan, BundleId(0));
  ASSERT_EQ(bundle.rows.size(), 6u);
  const auto n_contexts = static_cast<std::int32_t>(bundle.contexts.size());
  ASSERT_EQ(n_contexts, 2);
  EXPECT_EQ(bundle.derived,
            (std::vector<DerivedDonor>{
                {Derivation::gaussian, bundle.rows[2].donors.at(0).index, 32, 0, "pair-0"},
                {Derivation::mean, -1, 32}}));
  for (const std::size_t row : {0, 1}) EXPECT_TRUE(bundle.rows[row].donors.empty());
  for (const std::size_t row : {2, 3}) {
    ASSERT_EQ(bundle.rows[row].donors.size(), 3u);
    EXPECT_EQ(bundle.contexts.at(bundle.rows[row].donors[0].index).text, source);
    EXPECT_EQ(bundle.rows[row].donors[1].index, n_contexts);
    EXPECT_EQ(bundle.rows[row].donors[2].index, n_contexts + 1);
  }
  for (const std::size_t row : {4, 5}) {
    ASSERT_EQ(bundle.rows[row].donors.size(), 1u);
    EXPECT_EQ(bundle.contexts.at(bundle.rows[row].donors[0].index).text, source);
  }
}

TEST(Packer, KeepsTheKeywordsOfThePatchThatAsksForThem) {
  const Packed packed;
  const Bundle bundle = complete_bundle(packed.plan, BundleId(0));
  for (const BundleRow& row : bundle.rows)
    for (std::size_t patch = 0; patch < row.donors.size(); ++patch)
      EXPECT_EQ(row.donors[patch].tokens.donor, row.arm.value == 1 && patch == 1
                                                    ? (std::vector<std::int32_t>{30, 31})
                                                    : std::vector<std::int32_t>{});
}

TEST(Packer, StartsANewBundleWhereAPairsRowsDoNotFit) {
  SweepConfig config = sample_config({"base", "source", "kv_cache layers=1"}, 3);
  config.bundle_rows = 16;
  const auto plan = sample_plan(config, prompt_set({{source, base}, {source + "2", base + "2"}}));
  ASSERT_EQ(plan.bundles.size(), 2u);  // 9 rows a pair
  for (const Bundle& bundle : plan.bundles) {
    EXPECT_EQ(bundle.rows.size(), 9u);
    EXPECT_EQ(bundle.contexts.size(), 2u);
  }
}

/// 24 rows of a pair in bundles of up to 64, and a GPU on which `rows` of them fit.
struct Limited {
  SweepConfig config = sample_config({"base", "source", "kv_cache layers=1"}, 8);
  SamplePlan plan;
  BundleLimit limit;

  explicit Limited(std::int64_t rows, std::int64_t new_tokens = 20)
      : plan(sample_plan(config, prompt_set({{source, base}}))) {
    config.generation.max_new_tokens = new_tokens;
    const BundleShape shape{8, 32, rows, 256, 256};
    limit.needs = bundle_needs(sample_model(), config, plan.arms, 0, "cuda", "float32");
    limit.device_memory = MemoryBudget{0, bundle_memory(limit.needs, shape, 0)}.gpu();
  }

  bool pack() {
    Plan& packed = plan;
    packed.bundles.clear();
    packed.bundle_rows = 64;
    return pack_bundles(packed, config, sample_model(), Donors(packed, 1, sample_text()), nullptr,
                        &limit);
  }
};

TEST(Packer, EndsABundleBeforeItExceedsAGpu) {
  for (const std::int64_t rows : {8, 16}) {
    Limited limited(rows);
    EXPECT_TRUE(limited.pack());
    const Plan& plan = limited.plan;
    ASSERT_EQ(plan.bundles.size(), rows == 8 ? 3u : 2u);
    EXPECT_EQ(plan.bundles[0].shape.rows, rows);
    for (const PlannedBundle& bundle : plan.bundles)
      EXPECT_TRUE(limited.limit.allows(bundle.shape, 0));
  }
  Limited limited(24);
  EXPECT_FALSE(limited.pack());
}

TEST(Packer, NamesTheRowThatNoGpuOfThisSizeHolds) {
  Limited limited(1, 500);
  limited.limit.device_memory -= 1;
  EXPECT_TRUE(
      says(refusal_message([&] { limited.pack(); }),
           {"pair-0", "32 columns", "500 new tokens", "lower generation.max_new_tokens to"}));
  limited.limit.weights = 1e9;
  EXPECT_TRUE(says(refusal_message([&] { limited.pack(); }), {"shorten its prompts"}));
}

}  // namespace
}  // namespace rvsweep
