#include "experiment/sampler.hpp"

#include <ATen/Context.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "rvsweep/core/philox.hpp"

namespace rvsweep {
namespace {

std::int64_t sample(const std::vector<float>& logits, double uniform,
                    const GenerationConfig& generation) {
  return sample_tokens(aten_operations(), at::tensor(logits).unsqueeze(0),
                       at::tensor({uniform}, at::kDouble), generation)
      .item<std::int64_t>();
}

GenerationConfig plain(double temperature = 1.0) {
  GenerationConfig generation;
  generation.temperature = temperature;
  return generation;
}

/// The tokens of uniform numbers from 0 to just below 1.
std::vector<std::int64_t> all_sampled(const std::vector<float>& logits,
                                      const GenerationConfig& generation) {
  std::vector<std::int64_t> tokens;
  for (int i = 0; i < 1000; ++i) {
    const auto token = sample(logits, i / 1000.0, generation);
    if (tokens.empty() || tokens.back() != token) tokens.push_back(token);
  }
  return tokens;
}

TEST(Sampler, GreedyTakesTheLowestIdOfEquals) {
  EXPECT_EQ(sample({1, 3, 3, 2}, 0.99, plain(0)), 1);
}

TEST(Sampler, InverseCdfInVocabularyOrder) {
  const std::vector<float> logits{std::log(0.2F), std::log(0.5F), std::log(0.3F)};
  EXPECT_EQ(sample(logits, 0.0, plain()), 0);
  EXPECT_EQ(sample(logits, 0.199, plain()), 0);
  EXPECT_EQ(sample(logits, 0.201, plain()), 1);
  EXPECT_EQ(sample(logits, 0.699, plain()), 1);
  EXPECT_EQ(sample(logits, 0.701, plain()), 2);
  EXPECT_EQ(sample(logits, std::nextafter(1.0, 0.0), plain()), 2);
}

TEST(Sampler, TokensOfProbabilityZeroAreNeverTaken) {
  const std::vector<float> logits{-INFINITY, 0, -INFINITY, 0, -INFINITY};
  EXPECT_EQ(all_sampled(logits, plain()), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(sample(logits, std::nextafter(1.0, 0.0), plain()), 3);
}

TEST(Sampler, TemperatureSharpens) {
  const std::vector<float> logits{0, 1};
  const double hot = 1 / (1 + std::exp(1 / 2.0)), cold = 1 / (1 + std::exp(1 / 0.5));
  EXPECT_EQ(sample(logits, hot - 1e-4, plain(2)), 0);
  EXPECT_EQ(sample(logits, hot + 1e-4, plain(2)), 1);
  EXPECT_EQ(sample(logits, cold - 1e-4, plain(0.5)), 0);
  EXPECT_EQ(sample(logits, cold + 1e-4, plain(0.5)), 1);
}

TEST(Sampler, TopKKeepsTheKLargestAndTies) {
  GenerationConfig generation = plain();
  generation.top_k = 2;
  EXPECT_EQ(all_sampled({1, 4, 2, 3}, generation), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(all_sampled({3, 4, 2, 3}, generation), (std::vector<std::int64_t>{0, 1, 3}));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesP) {
  const std::vector<float> logits{std::log(0.1F), std::log(0.6F), std::log(0.05F), std::log(0.25F)};
  GenerationConfig generation = plain();
  generation.top_p = 0.8;
  EXPECT_EQ(all_sampled(logits, generation), (std::vector<std::int64_t>{1, 3}));
  generation.top_p = 0.5;
  EXPECT_EQ(all_sampled(logits, generation), (std::vector<std::int64_t>{1}));
  generation.top_p = 1e-9;
  EXPECT_EQ(all_sampled(logits, generation), (std::vector<std::int64_t>{1}));
}

TEST(Sampler, FrequenciesFollowTheProbabilities) {
  at::manual_seed(3);
  constexpr int vocab = 50, draws = 20000;
  const at::Tensor logits = at::randn({vocab});
  std::vector<double> uniforms(draws);
  for (int i = 0; i < draws; ++i) uniforms[i] = sampling_uniform(1, 2, 0, i);
  const at::Tensor tokens =
      sample_tokens(aten_operations(), logits.unsqueeze(0).expand({draws, vocab}).contiguous(),
                    at::tensor(uniforms, at::kDouble), plain());
  const at::Tensor probabilities = logits.softmax(-1);
  for (int token = 0; token < vocab; ++token) {
    const double p = probabilities[token].item<double>();
    const double seen = tokens.eq(token).sum().item<double>() / draws;
    EXPECT_NEAR(seen, p, 5 * std::sqrt(p * (1 - p) / draws) + 1e-9) << "token " << token;
  }
}

}  // namespace
}  // namespace rvsweep
