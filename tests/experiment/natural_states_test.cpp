#include "rvsweep/experiment/natural_states.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experiment/study.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::Study;

using Prompts = std::vector<std::vector<std::int32_t>>;

/// The stream after a layer at the last token of each prompt, fed alone: float64 [prompts, hidden].
at::Tensor states_alone(const Transformer& model, const Prompts& prompts, std::int64_t layer) {
  std::vector<at::Tensor> states;
  for (const auto& tokens : prompts) {
    std::vector<SiteCapture> captures{{Site::resid_post, layer, 1}};
    KvCache cache = KvCache::allocate(model.config(), model.placement(), 1, std::ssize(tokens));
    ForwardInput input;
    input.captures = &captures;
    input.last_kv_layer = model.config().n_layers;
    feed_prompts(model, {tokens}, input, cache);
    states.push_back(captures[0].values.flatten().to(at::kDouble));
  }
  return at::stack(states);
}

/// Of `state` from the nearest of `states` but the one at `left_out`.
double nearest(const at::Tensor& state, const at::Tensor& states, std::int64_t left_out) {
  double least = INFINITY;
  for (std::int64_t p = 0; p < states.size(0); ++p)
    if (p != left_out) least = std::min(least, (state - states[p]).norm().item<double>());
  return least;
}

double spacing_of(const at::Tensor& states) {
  std::vector<double> apart;
  for (std::int64_t p = 0; p < states.size(0); ++p) apart.push_back(nearest(states[p], states, p));
  std::ranges::sort(apart);
  return apart[(apart.size() - 1) / 2];
}

const Prompts prompts{some_tokens(20, 1), some_tokens(23, 2), some_tokens(9, 3),
                      some_tokens(600, 4), some_tokens(14, 6)};

TEST(NaturalStates, AreThoseOfThePromptsAloneAndTheirSpacing) {
  const Transformer model = testing::tiny_transformer();
  const NaturalStates natural = natural_states(model, prompts, {1, 3});
  for (const std::int64_t i : {0, 1}) {
    const at::Tensor alone = states_alone(model, prompts, natural.layers[i]);
    EXPECT_LT((natural.states[i] - alone).abs().max().item<double>(), 1e-4);
    EXPECT_NEAR(natural.spacing[i].item<double>() / spacing_of(alone), 1, 1e-4);
  }
}

TEST(NaturalStates, OfNoLayersAreNone) {
  EXPECT_FALSE(natural_states(testing::tiny_transformer(), prompts, {}).states.defined());
}

TEST(NaturalStates, LeaveNothingToCompareOnePromptWith) {
  const Transformer model = testing::tiny_transformer();
  const NaturalStates one = natural_states(model, {prompts[0]}, {2});
  EXPECT_TRUE(distance_from(one, 0, one.states[0], {0}).isnan().all().item<bool>());
}

TEST(PlaceOfPrompt, IsThatOfAPromptWholeOrCut) {
  NaturalStates natural{{}, prompts, {}, {}};
  auto tokens = prompts[3];
  EXPECT_EQ(place_of_prompt(natural, tokens), 3);
  tokens.resize(30);
  EXPECT_EQ(place_of_prompt(natural, tokens), 3);
  natural.prompts.push_back(tokens);  // a prompt that another begins with
  EXPECT_EQ(place_of_prompt(natural, tokens), 5);
  tokens.back() += 1;
  EXPECT_EQ(place_of_prompt(natural, tokens), -1);
}

TEST(StateDistance, IsFromTheNearestPromptButTheRowsOwn) {
  Study study({"base", "source", "resid_pre layers=2 op=add direction=random scale=1000"});
  study.config.readouts.state_distance = {"1,3", "test"};
  study.settings.state_distance_layers = {1, 3};
  study.settings.directions[{Site::resid_pre, "random"}] =
      states_alone(study.model, {prompts[2]}, 0).to(at::kFloat).expand({4, 1, -1});
  study.natural = natural_states(study.model, prompts, {1, 3});
  BundleResult result = study.run();
  const auto& distance = column(result.rows, columns::state_distance);  // [rows, 4]
  for (const std::size_t row : {0, 1}) {
    for (const std::size_t layer : {1, 3}) {
      const at::Tensor states = states_alone(study.model, prompts, static_cast<int>(layer));
      const auto own = static_cast<std::int64_t>(row);
      EXPECT_NEAR(distance[row * 4 + layer], nearest(states[own], states, own) / spacing_of(states),
                  1e-3);
    }
    EXPECT_TRUE(std::isnan(distance[row * 4]) && std::isnan(distance[row * 4 + 2]));
  }
  EXPECT_EQ(distance[2 * 4 + 1], distance[0 * 4 + 1]);  // below the patch
  EXPECT_GT(distance[2 * 4 + 3], 20);
}

}  // namespace
}  // namespace rvsweep
