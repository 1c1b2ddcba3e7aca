#include "rvsweep/plan/time_estimate.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "plan/sample_plan.hpp"

namespace rvsweep {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

/// Elements of a layer's matrices, of all layers.
double in_layers(const ModelConfig& m) {
  const auto projections = m.hidden_size * m.head_dim * 2 * (m.n_heads + m.n_kv_heads);
  return static_cast<double>(m.n_layers * (projections + 3 * m.hidden_size * m.intermediate_size));
}

/// Of base alone: 20 tokens after a prompt of 1000, whose pair has a source of 3.
double seconds(const Speed& speed) {
  auto config = sample_config({"base"});
  config.readouts.first_token = config.readouts.forced = config.readouts.reencode = false;
  const auto plan =
      sample_plan(config, prompt_set({{std::string(3, 's'), std::string(1000, 'b')}}));
  return seconds_of(plan, bundle_needs(sample_model(), config, plan.arms, 0, "cpu", "float32"),
                    speed);
}

TEST(SecondsOf, ProductsAreOfEveryTokenAndOfTheHeadWhereTokensAreDrawn) {
  const ModelConfig m = sample_model();
  const auto head = static_cast<double>(m.vocab_size * m.hidden_size);
  EXPECT_NEAR(seconds({1e6, infinite, infinite}) * 1e6,
              2 * in_layers(m) * (1000 + 16) + 20 * 2 * (in_layers(m) + head), 1);
}

TEST(SecondsOf, AttentionGrowsByTheSquareOfALongPrompt) {
  const ModelConfig m = sample_model();
  const auto width = static_cast<double>(m.n_layers * m.n_heads * m.head_dim);
  EXPECT_NEAR(seconds({infinite, 1e6, infinite}) * 1e6, 2 * width * (1000.0 * 1000 + 16 * 16), 1);
}

TEST(SecondsOf, AStepOfOneRowReadsEveryMatrixAndItsCells) {
  const ModelConfig m = sample_model();
  const auto head = static_cast<double>(m.vocab_size * m.hidden_size);
  const auto cells = static_cast<double>(2 * m.n_layers * m.kv_dim()) * (1024 + 10);
  EXPECT_NEAR(seconds({infinite, infinite, 1e6}) * 1e6, 20 * 4 * (in_layers(m) + head + cells), 1);
}

}  // namespace
}  // namespace rvsweep
