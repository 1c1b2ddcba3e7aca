#include "rvsweep/metrics/logits.hpp"

#include <ATen/TensorOperators.h>
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
  EXPECT_NEAR(kl_divergence(p, q).item<double>(), 0.25 * std::log(2.0), 1e-12);
  EXPECT_NEAR(kl_divergence(p, r).item<double>(),
              0.5 * std::log(0.5 / 0.8) + 0.5 * std::log(0.25 / 0.1), 1e-12);
  EXPECT_NEAR(kl_divergence(r, p).item<double>(),
              0.8 * std::log(0.8 / 0.5) + 0.2 * std::log(0.1 / 0.25), 1e-12);
  EXPECT_NEAR(kl_divergence(p, p).item<double>(), 0.0, 1e-12);
}

TEST(Logits, TokenLogProbabilityIsOfTheTokenAsked) {
  const at::Tensor token = at::tensor({2}, at::kLong);
  EXPECT_NEAR(token_log_probability(logits(0.5, 0.3, 0.2, 7), token).item<double>(), std::log(0.2),
              1e-12);
}

TEST(Logits, SetsAreComparedByTheirProbability) {
  const double difference =
      log_sum_exp_difference(logits(0.5, 0.3, 0.2, 7), {0, 1}, {2}).item<double>();
  EXPECT_NEAR(difference, std::log(0.8 / 0.2), 1e-12);
}

}  // namespace
}  // namespace rvsweep
