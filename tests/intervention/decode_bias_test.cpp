#include "rvsweep/intervention/decode_bias.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t T = 6, steps = 4;

CompiledRow plan_with(Growth growth) {
  CompiledRow plan;
  plan.cached = 3;
  CompiledCachePatch patch;
  patch.replaces = true;
  patch.donor_cached = 5;
  patch.growth = growth;
  patch.layers = {false, true, false, false};
  plan.cache = {patch};
  return plan;
}

/// Bias of row 0 at a layer over the columns that step t reads.
std::vector<float> seen(const AttentionBias& bias, std::int64_t layer, std::int64_t t) {
  const at::Tensor row =
      bias.classes[bias.class_of_layer[layer]][0][0][0].narrow(0, 0, T + t + 1).contiguous();
  return {row.const_data_ptr<float>(), row.const_data_ptr<float>() + row.numel()};
}

constexpr float x = -INFINITY;

TEST(DecodeBias, UnpatchedLayersSeeBaseAndAllFedTokens) {
  DecodeBias bias(testing::tiny_config(), {}, {plan_with(Growth::frozen)}, T, steps);
  bias.at_step(0);
  bias.at_step(1);
  EXPECT_EQ(seen(bias.at_step(2), 0, 2), (std::vector<float>{x, x, x, 0, 0, 0, 0, 0, 0}));
}

TEST(DecodeBias, AppendSeesTheDonorAndAllFedTokens) {
  DecodeBias bias(testing::tiny_config(), {}, {plan_with(Growth::append)}, T, steps);
  EXPECT_EQ(seen(bias.at_step(0), 1, 0), (std::vector<float>{x, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(seen(bias.at_step(1), 1, 1), (std::vector<float>{x, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(DecodeBias, FrozenSeesTheDonorAndItsOwnToken) {
  DecodeBias bias(testing::tiny_config(), {}, {plan_with(Growth::frozen)}, T, steps);
  EXPECT_EQ(seen(bias.at_step(0), 1, 0), (std::vector<float>{x, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(seen(bias.at_step(1), 1, 1), (std::vector<float>{x, 0, 0, 0, 0, 0, x, 0}));
  EXPECT_EQ(seen(bias.at_step(2), 1, 2), (std::vector<float>{x, 0, 0, 0, 0, 0, x, x, 0}));
}

TEST(DecodeBias, CompoundCountsTheDonorOnceMoreEachStep) {
  DecodeBias bias(testing::tiny_config(), {}, {plan_with(Growth::compound)}, T, steps);
  EXPECT_EQ(seen(bias.at_step(0), 1, 0), (std::vector<float>{x, 0, 0, 0, 0, 0, 0}));
  const float ln2 = std::log(2.0F), ln3 = std::log(3.0F);
  const auto second = seen(bias.at_step(1), 1, 1), third = seen(bias.at_step(2), 1, 2);
  for (int cell = 1; cell < T; ++cell) {
    EXPECT_FLOAT_EQ(second[cell], ln2);
    EXPECT_FLOAT_EQ(third[cell], ln3);
  }
  EXPECT_EQ(third[0], x);
  for (int fed = T; fed < T + 3; ++fed) EXPECT_EQ(third[fed], 0.0F);
}

TEST(DecodeBias, PatchesOfSomeCellsLeaveTheNumberOfCells) {
  CompiledRow plan = plan_with(Growth::append);
  plan.cache[0].replaces = false;
  DecodeBias bias(testing::tiny_config(), {}, {plan}, T, steps);
  EXPECT_EQ(seen(bias.at_step(0), 1, 0), (std::vector<float>{x, x, x, 0, 0, 0, 0}));
}

TEST(ForcedBias, HoldsEveryStepAndHidesLaterTokens) {
  for (const Growth growth : {Growth::append, Growth::frozen, Growth::compound}) {
    const auto plans = std::vector<CompiledRow>{plan_with(growth)};
    const AttentionBias forced = forced_bias(testing::tiny_config(), {}, plans, T, steps);
    DecodeBias by_step(testing::tiny_config(), {}, plans, T, steps);
    for (std::int64_t t = 0; t < steps; ++t) {
      const auto expected = seen(by_step.at_step(t), 1, t);
      const at::Tensor row = forced.classes[forced.class_of_layer[1]][0][0][t].contiguous();
      const float* actual = row.const_data_ptr<float>();
      for (std::int64_t c = 0; c < T + steps; ++c)
        EXPECT_EQ(actual[c], c <= T + t ? expected[c] : x) << "query " << t << ", column " << c;
    }
  }
}

}  // namespace
}  // namespace rvsweep
