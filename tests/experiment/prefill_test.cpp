#include "experiment/prefill.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

using Prompts = std::vector<std::vector<std::int32_t>>;

const Transformer& model() {
  static const Transformer shared = testing::tiny_transformer();
  return shared;
}

/// A prompt that is fed alone, without padding.
struct Alone {
  KvCache cache;
  at::Tensor residual;  // [tokens, hidden]
};

Alone alone(const std::vector<std::int32_t>& prompt) {
  const auto n = std::ssize(prompt);
  Alone result{KvCache::allocate(model().config(), {}, 1, n), {}};
  const LayerVisibility seen = causal_visibility(model().config().n_layers, {n}, n);
  ForwardInput input;
  input.tokens = at::tensor(std::vector<std::int64_t>(prompt.begin(), prompt.end())).unsqueeze(0);
  input.positions = at::arange(n).unsqueeze(0);
  input.seen = &seen;
  input.last_kv_layer = model().config().n_layers;
  input.outputs = Outputs::every_query;
  result.residual = model().forward(input, result.cache)[0];
  return result;
}

bool are_close(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-4, 1e-4); }

TEST(Prefill, APromptsCellsAreThoseOfThePromptAlone) {
  const Prompts prompts{testing::some_tokens(7, 1), testing::some_tokens(24, 2),
                        testing::some_tokens(1, 3)};
  const KvCache cache = prefill(model(), prompts, 8, 24, 3);
  for (std::int64_t r = 0; r < 3; ++r) {
    const auto n = std::ssize(prompts[r]);
    const Alone expected = alone(prompts[r]);
    EXPECT_TRUE(are_close(cache.k.narrow(1, r, 1).narrow(3, 24 - n, n), expected.cache.k)) << r;
    EXPECT_TRUE(are_close(cache.v.narrow(1, r, 1).narrow(3, 24 - n, n), expected.cache.v)) << r;
  }
  for (std::int64_t r = 3; r < 8; ++r)
    EXPECT_TRUE(at::equal(cache.v.select(1, r), cache.v.select(1, 0))) << r;
}

TEST(Prefill, EndsAtTheLastLayerWhoseCellsAreWanted) {
  const Prompts prompts{testing::some_tokens(8, 1)};
  const KvCache whole = prefill(model(), prompts, 1, 8, 3),
                part = prefill(model(), prompts, 1, 8, 1);
  EXPECT_TRUE(at::equal(part.v.narrow(0, 0, 2), whole.v.narrow(0, 0, 2)));
  EXPECT_TRUE(part.v.narrow(0, 2, 2).eq(0).all().item<bool>());
}

TEST(Prefill, ALongPromptAloneIsWhatAMaskGives) {
  const std::vector<std::int32_t> prompt = testing::some_tokens(700, 4);
  const Alone expected = alone(prompt);
  const KvCache cache = prefill(model(), {prompt}, 1, 700, 3);
  EXPECT_TRUE(are_close(cache.k, expected.cache.k));
  EXPECT_TRUE(are_close(cache.v, expected.cache.v));
}

TEST(FeedPrompts, PromptsOfSeveralGroupsComeBackInTheirOrder) {
  Prompts prompts;
  for (std::int32_t p = 0; p < 20; ++p) prompts.push_back(testing::some_tokens(5 + p, p));
  // So many columns that 8 prompts are fed at once.
  KvCache cache = KvCache::allocate(model().config(), {}, 24, 512);
  std::vector<SiteCapture> captures{{Site::resid_pre, 2, 1}, {Site::resid_post, 3, 3}};
  ForwardInput input;
  input.captures = &captures;
  input.last_kv_layer = model().config().n_layers;
  input.outputs = Outputs::last_query;
  const at::Tensor residual = feed_prompts(model(), prompts, input, cache);  // [24, hidden]
  ASSERT_EQ(residual.size(0), 24);
  ASSERT_EQ(captures[1].values.size(0), 24);
  for (std::int64_t r = 0; r < 20; ++r) {
    const Alone expected = alone(prompts[r]);
    const auto n = std::ssize(prompts[r]);
    EXPECT_TRUE(are_close(residual[r], expected.residual[n - 1])) << r;
    EXPECT_TRUE(are_close(captures[1].values[r].squeeze(1), expected.residual.narrow(0, n - 3, 3)))
        << r;
    EXPECT_TRUE(are_close(cache.v.narrow(1, r, 1).narrow(3, 512 - n, n), expected.cache.v)) << r;
  }
}

}  // namespace
}  // namespace rvsweep
