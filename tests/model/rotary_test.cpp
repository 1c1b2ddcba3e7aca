#include "model/rotary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

at::Tensor rotated_by(const at::Tensor& x, std::int64_t position) {
  const at::Tensor frequencies = inverse_frequencies(testing::tiny_config().rope, 12);
  return rotate(x, rotation_at(at::full({1}, position, at::kLong), frequencies));
}

TEST(Rope, RotationsAddUp) {
  const at::Tensor x = at::randn({5, 12});
  for (const auto& [a, b] : {std::pair{3, 4}, {17, -9}, {-5, 5}})
    EXPECT_TRUE(at::allclose(rotated_by(rotated_by(x, a), b), rotated_by(x, a + b), 1e-5, 1e-5));
}

TEST(Rope, PositionZeroChangesNothing) {
  const at::Tensor x = at::randn({5, 12});
  EXPECT_TRUE(at::equal(rotated_by(x, 0), x));
}

TEST(Rope, PairsDimensionIWithIPlusHalf) {
  at::Tensor x = at::full({1, 12}, 0.0F);
  x[0][0] = 1.0F;  // frequency 1: an angle of 1 radian a position
  const at::Tensor y = rotated_by(x, 1);
  EXPECT_NEAR(y[0][0].item<double>(), std::cos(1.0), 1e-6);
  EXPECT_NEAR(y[0][6].item<double>(), std::sin(1.0), 1e-6);
}

TEST(Rope, LinearScalingInterpolatesPositions) {
  ModelConfig scaled = testing::tiny_config();
  scaled.rope.type = RopeType::linear;
  scaled.rope.factor = 4;
  const at::Tensor x = at::randn({5, 12});
  const at::Tensor slow =
      rotate(x, rotation_at(at::full({1}, 20, at::kLong), inverse_frequencies(scaled.rope, 12)));
  EXPECT_TRUE(at::allclose(slow, rotated_by(x, 5), 1e-5, 1e-5));
}

TEST(Rope, Llama3ScalingKeepsHighAndSlowsLowFrequencies) {
  ModelConfig plain = testing::tiny_config();
  plain.rope.theta = 500000;
  ModelConfig scaled = plain;
  scaled.rope.type = RopeType::llama3;
  scaled.rope.factor = 8;
  scaled.rope.low_freq_factor = 1;
  scaled.rope.high_freq_factor = 4;
  scaled.rope.original_max_position_embeddings = 8192;
  const at::Tensor before = inverse_frequencies(plain.rope, 64),
                   after = inverse_frequencies(scaled.rope, 64);
  EXPECT_EQ(before[0].item<float>(), after[0].item<float>());
  EXPECT_FLOAT_EQ(before[31].item<float>() / 8, after[31].item<float>());
  for (int i = 1; i < 32; ++i) EXPECT_LT(after[i].item<float>(), after[i - 1].item<float>());
}

}  // namespace
}  // namespace rvsweep
