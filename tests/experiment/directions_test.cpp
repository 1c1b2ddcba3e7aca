#include "rvsweep/experiment/directions.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "experiment/study.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::Study;

const std::string mean = "mean_difference:a-b";

Directions made(const Study& study, const MeanPrompts& prompts = {},
                const DirectionFiles& files = {}) {
  return directions_of(study.model, study.settings.arms, 1, files, {{mean, prompts}});
}

/// What every layer's resid_pre gives for the last token of a prompt that is fed alone.
at::Tensor last_values(const Transformer& model, const std::vector<std::int32_t>& tokens) {
  const auto L = model.config().n_layers;
  std::vector<SiteCapture> captures;
  for (std::int64_t layer = 0; layer < L; ++layer) captures.push_back({Site::resid_pre, layer, 1});
  KvCache cache = KvCache::allocate(model.config(), model.placement(), 1, std::ssize(tokens));
  ForwardInput input;
  input.captures = &captures;
  input.last_kv_layer = L - 1;
  feed_prompts(model, {tokens}, input, cache);
  at::Tensor values = at::zeros({L, 1, model.config().hidden_size});
  for (std::int64_t layer = 0; layer < L; ++layer) values[layer] = captures[layer].values[0][0];
  return values;
}

TEST(Directions, AreDifferencesOfMeansOverTheLastTokens) {
  const Study study({"resid_pre layers=2 op=add direction=" + mean});
  const MeanPrompts prompts{
      {{some_tokens(9, 1), some_tokens(20, 2), some_tokens(600, 3)}, {some_tokens(14, 4)}}};
  const at::Tensor direction = made(study, prompts).at({Site::resid_pre, mean});
  at::Tensor expected = last_values(study.model, prompts[1][0]) * -1;
  for (const auto& prompt : prompts[0]) expected += last_values(study.model, prompt) / 3;
  EXPECT_EQ(direction.sizes(), expected.sizes());
  EXPECT_TRUE(at::allclose(direction, expected, 1e-4, 1e-5));
}

TEST(Directions, AreDrawnWithTheNormsOfOthersOrOfOne) {
  Study study(
      {"v_proj layers=2 op=add direction=random", "v_proj layers=1 op=add direction=" + mean});
  study.settings.arms[1].patches[0].donor.direction = "gaussian:" + mean;
  const MeanPrompts prompts{{{some_tokens(9, 1)}, {some_tokens(14, 4)}}};
  const Directions drawn = made(study, prompts);
  study.settings.arms[1].patches[0].donor.direction = mean;
  const at::Tensor like = made(study, prompts).at({Site::v, mean});
  const at::Tensor unit = drawn.at({Site::v, "random"}),
                   as_long = drawn.at({Site::v, "gaussian:" + mean});
  EXPECT_TRUE(at::allclose(unit.norm(2, {-1}), at::zeros({4, 2}) + 1));
  EXPECT_TRUE(at::allclose(as_long.norm(2, {-1}), like.norm(2, {-1})));
  // The control of one direction is no other one that is drawn.
  const at::Tensor between = (as_long * unit).sum(-1) / like.norm(2, {-1});
  EXPECT_LT(between.abs().max().item<double>(), 0.9);
  EXPECT_FALSE(at::allclose(unit[0], unit[1], 0.1, 0.1));
}

TEST(Directions, AreOrthogonalToOthersWithTheirOwnNorms) {
  const std::string name = "random orthogonal_to=" + mean;
  Study study({"v_proj layers=1 op=add direction=random orthogonal_to=" + mean,
               "v_proj layers=1 op=add direction=random",
               "v_proj layers=1 op=add direction=" + mean});
  const MeanPrompts prompts{{{some_tokens(9, 1)}, {some_tokens(14, 4)}}};
  const Directions directions = made(study, prompts);
  const at::Tensor left = directions.at({Site::v, name}), of = directions.at({Site::v, "random"}),
                   to = directions.at({Site::v, mean});
  EXPECT_TRUE(at::allclose(left.norm(2, {-1}), of.norm(2, {-1})));
  EXPECT_LT((left * to).sum(-1).abs().max().item<double>(), 1e-5);
  const at::Tensor along = (of * to).sum(-1, true) / (to * to).sum(-1, true);
  const at::Tensor beside = of - along * to;
  EXPECT_TRUE(at::allclose(left, beside / beside.norm(2, {-1}, true), 1e-4, 1e-5));
  study.settings.arms[0].patches[0].donor.direction = mean + " orthogonal_to=" + mean;
  EXPECT_TRUE(says(refusal_message([&] { made(study, prompts); }), {mean, "leaves nothing"}));
}

TEST(Directions, ReachTheSiteAtEveryTokenThatIsPatched) {
  Study study({"base", "resid_pre layers=2 op=add direction=random scale=3 decode=persist",
               "resid_pre layers=2 op=add direction=random scale=-6",
               "resid_pre layers=2 op=project_out direction=random & "
               "resid_pre layers=2 op=project_out direction=random"});
  study.settings.directions = made(study);
  BundleResult result = study.run();
  const auto& norm = column(result.rows, columns::change_norm);
  const auto& cells = column(result.rows, columns::cells_changed);
  for (std::size_t r = 0; r < 4; ++r) EXPECT_EQ(column(result.rows, columns::reason)[r], "");
  EXPECT_EQ(cells[1], 4 + 9);
  EXPECT_NEAR(norm[1], 3 * std::sqrt(4 + 9), 1e-4);
  EXPECT_NEAR(norm[2], 6 * std::sqrt(4), 1e-4);
  EXPECT_GT(norm[3], 0);
}

}  // namespace
}  // namespace rvsweep
