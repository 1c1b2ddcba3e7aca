#include "experiment/sampler.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
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
      .token.item<std::int64_t>();
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

TEST(Sampler, PenaltyDividesPositiveLogitsOfTokensThatOccurredAndMultipliesOthers) {
  const at::Tensor logits = at::tensor({3.0F, -3.0F, 0.0F, 5.0F, -5.0F, 1.0F}).view({2, 3}),
                   occurred = at::tensor({1, 1, 1, 0, 1, 1}).to(at::kBool).view({2, 3});
  EXPECT_TRUE(at::equal(penalised(logits, occurred, 2.0),
                        at::tensor({1.5F, -6.0F, 0.0F, 5.0F, -10.0F, 0.5F}).view({2, 3})));
  EXPECT_TRUE(at::equal(penalised(logits, occurred, 0.5),
                        at::tensor({6.0F, -1.5F, 0.0F, 5.0F, -2.5F, 2.0F}).view({2, 3})));
  EXPECT_EQ(logits[0][0].item<float>(), 3) << "the argument is left alone";
}

TEST(Sampler, FrequenciesFollowTheProbabilities) {
  at::manual_seed(3);
  constexpr int vocab = 50, draws = 20000;
  const at::Tensor logits = at::randn({vocab});
  std::vector<double> uniforms(draws);
  for (int i = 0; i < draws; ++i) uniforms[i] = sampling_uniform(1, 2, 0, i);
  const at::Tensor tokens =
      sample_tokens(aten_operations(), logits.unsqueeze(0).expand({draws, vocab}).contiguous(),
                    at::tensor(uniforms, at::kDouble), plain())
          .token;
  const at::Tensor probabilities = logits.softmax(-1);
  for (int token = 0; token < vocab; ++token) {
    const double p = probabilities[token].item<double>();
    const double seen = tokens.eq(token).sum().item<double>() / draws;
    EXPECT_NEAR(seen, p, 5 * std::sqrt(p * (1 - p) / draws) + 1e-9) << "token " << token;
  }
}

constexpr double just_below_1 = 1 - 1e-16;
const std::vector<double> small_temperatures{1e-30, 1e-36, 1e-37, 1e-38, 1e-45, 2.3e-308, 5e-324};

TEST(Sampler, TemperaturesTooSmallToDivideByTakeTheLargest) {
  for (const double temperature : small_temperatures)
    for (const double uniform : {0.0, 0.5, just_below_1})
      for (const float shift : {-900.0F, 0.0F, 900.0F}) {
        EXPECT_EQ(
            sample({shift + 1, shift + 3, shift + 2.999F, shift}, uniform, plain(temperature)), 1);
        EXPECT_EQ(sample({shift, shift, shift - 1}, 0.49, plain(temperature)), 0);
        EXPECT_EQ(sample({shift, shift, shift - 1}, 0.51, plain(temperature)), 1);
      }
}

TEST(Sampler, FiltersWorkAtTemperaturesTooSmallToDivideBy) {
  GenerationConfig generation = plain(1e-38);
  generation.top_k = 2;
  generation.top_p = 0.9;
  EXPECT_EQ(sample({50, 70, 60, 70}, 0.9, generation), 3);
  EXPECT_EQ(sample({50, 70, 60, 70}, 0.1, generation), 1);
}

/// Rows of normal logits, some of them spoilt by one element or all.
at::Tensor spoilt_rows(std::int64_t rows, std::int64_t vocab) {
  const at::Tensor logits = at::randn({rows, vocab}) * 30;
  const float bad[] = {NAN, INFINITY, -INFINITY};
  for (std::int64_t row = 1; row < rows; row += 3) {
    const float value = bad[row / 3 % 3];
    if (row % 2 == 0)
      logits[row].fill_(value);
    else
      logits[row][row % vocab] = value;
  }
  return logits;
}

TEST(Sampler, NoRowLeavesTheVocabularyAndSpoiltOnesAreToldAndTouchNoOther) {
  at::manual_seed(8);
  for (const double temperature : {0.0, 1e-320, 1e-37, 0.7, 1.0, 1e6})
    for (const std::int64_t vocab : {1, 5, 1000})
      for (const std::int64_t top_k : {0, 3})
        for (const double top_p : {1.0, 0.5}) {
          GenerationConfig generation = plain(temperature);
          generation.top_k = top_k;
          generation.top_p = top_p;
          const at::Tensor logits = spoilt_rows(40, vocab);
          const at::Tensor uniforms = at::rand({40}, at::kDouble);
          uniforms[0] = just_below_1;
          const auto [token, finite] =
              sample_tokens(aten_operations(), logits, uniforms, generation);
          EXPECT_TRUE((token >= 0).logical_and(token < vocab).all().item<bool>());
          EXPECT_TRUE(at::equal(finite, logits.isfinite().all(-1)));
          for (std::int64_t row = 0; row < 40; ++row)
            EXPECT_EQ(sample_tokens(aten_operations(), logits.narrow(0, row, 1),
                                    uniforms.narrow(0, row, 1), generation)
                          .token.item<std::int64_t>(),
                      token[row].item<std::int64_t>())
                << row;
        }
}

/// softmax(logits / temperature) in float64; uniforms near a boundary are left out.
TEST(Sampler, TokensAreThoseOfTheDefinition) {
  at::manual_seed(9);
  constexpr std::int64_t rows = 500, vocab = 300;
  for (const double temperature : {0.3, 1.0, 2.5}) {
    const at::Tensor logits = at::randn({rows, vocab}) * 3,
                     uniforms = at::rand({rows}, at::kDouble);
    const at::Tensor token =
        sample_tokens(aten_operations(), logits, uniforms, plain(temperature)).token;
    const at::Tensor running = (logits.to(at::kDouble) / temperature).softmax(-1).cumsum(-1);
    const at::Tensor above = running - uniforms.unsqueeze(1);
    const at::Tensor clear = above.abs().amin(-1) > 1e-6;
    EXPECT_GT(clear.sum().item<std::int64_t>(), rows * 9 / 10);
    EXPECT_TRUE(at::equal((above > 0).to(at::kInt).argmax(-1).masked_select(clear),
                          token.masked_select(clear)));
  }
}

}  // namespace
}  // namespace rvsweep
