#include "rvsweep/metrics/logits.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

namespace rvsweep {
namespace {

/// Logits of a distribution over three tokens; what all of them share does not matter.
at::Tensor logits(double a, double b, double c, double shift) {
  return at::tensor({std::log(a) + shift, std::log(b) + shift, std::log(c) + shift}, at::kDouble)
      .unsqueeze(0);
}

TEST(Logits, KlIsTheExpectationUnderItsFirstArgument) {
  const at::Tensor p = logits(0.5, 0.25, 0.25, 3), q = logits(0.25, 0.25, 0.5, -1);
  const at::Tensor r = logits(0.8, 0.1, 0.1, 0);
  const at::Tensor kl =
      kl_divergence(log_probabilities(at::cat({r, p})), log_probabilities(at::cat({q, r, p, p})),
                    at::tensor({1, 1, 0, 1}, at::kLong));
  const double p_q = 0.25 * std::log(2.0);
  const double p_r = 0.5 * std::log(0.5 / 0.8) + 0.5 * std::log(0.25 / 0.1);
  const double r_p = 0.8 * std::log(0.8 / 0.5) + 0.2 * std::log(0.1 / 0.25);
  EXPECT_TRUE(at::allclose(kl, at::tensor({p_q, p_r, r_p, 0.0}, at::kDouble), 0, 1e-12)) << kl;
  EXPECT_EQ(kl[3].item<double>(), 0);
}

TEST(Logits, TokenLogProbabilityIsOfTheTokenAsked) {
  const at::Tensor two = at::cat({logits(0.5, 0.3, 0.2, 7), logits(0.1, 0.3, 0.6, 0)});
  const at::Tensor found =
      token_log_probability(log_probabilities(two), at::tensor({2, 1}, at::kLong));
  EXPECT_NEAR(found[0].item<double>(), std::log(0.2), 1e-12);
  EXPECT_NEAR(found[1].item<double>(), std::log(0.3), 1e-12);
}

TEST(Logits, SetsAreComparedByTheirProbability) {
  const double difference =
      log_sum_exp_difference(logits(0.5, 0.3, 0.2, 7), {0, 1}, {2}).item<double>();
  EXPECT_NEAR(difference, std::log(0.8 / 0.2), 1e-12);
}

TEST(Logits, OfASetOfTokens) {
  const at::Tensor two = at::cat({logits(0.5, 0.3, 0.2, 7), logits(0.25, 0.5, 0.25, 0)});
  const SetLogits of = set_logits(two, at::tensor({2, 1, 2, -1}, at::kLong).view({2, 2}));
  EXPECT_NEAR(of.log_probability[0].item<double>(), std::log(0.3 + 0.2), 1e-12);
  EXPECT_NEAR(of.log_sum_exp[0].item<double>(), std::log(0.5) + 7, 1e-12);
  EXPECT_EQ(of.rank[0].item<std::int64_t>(), 1) << "of its likeliest token";
  EXPECT_NEAR(of.log_sum_exp[1].item<double>(), std::log(0.25), 1e-12) << "padding is no token";
  EXPECT_EQ(of.rank[1].item<std::int64_t>(), 1) << "an equal logit is not above";
}

}  // namespace
}  // namespace rvsweep
