#include "rvsweep/model/transformer.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;

/// Right-aligned prompts in `columns`, fed at once; logits at every column.
struct Fed {
  KvCache cache;
  at::Tensor logits;  // [rows, columns, vocab]
};
Fed feed(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
         std::int64_t columns, std::int64_t last_kv_layer = 4,
         std::vector<SiteCapture>* captures = nullptr) {
  const auto rows = std::ssize(prompts);
  at::Tensor tokens = at::zeros({rows, columns}, at::kLong), positions = tokens.clone();
  std::vector<std::int64_t> lengths;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto n = std::ssize(prompts[r]);
    lengths.push_back(n);
    for (std::int64_t i = 0; i < n; ++i) {
      tokens[r][columns - n + i] = prompts[r][i];
      positions[r][columns - n + i] = i;
    }
  }
  Fed fed{KvCache::allocate(model.config(), model.placement(), rows, columns), {}};
  const LayerVisibility seen = causal_visibility(4, lengths, columns);
  ForwardInput input;
  input.tokens = tokens;
  input.positions = positions;
  input.seen = &seen;
  input.last_kv_layer = last_kv_layer;
  input.captures = captures;
  if (last_kv_layer == 4) input.outputs = Outputs::every_query;
  const at::Tensor residual = model.forward(input, fed.cache);
  if (residual.defined()) fed.logits = model.unembed(residual);
  return fed;
}

TEST(Transformer, PaddingOnTheLeftChangesNothingButRounding) {
  const Transformer model = testing::tiny_transformer();
  const auto prompt = some_tokens(9, 1);
  const Fed alone = feed(model, {prompt}, 9), padded = feed(model, {prompt}, 16);
  EXPECT_TRUE(at::allclose(alone.logits[0], padded.logits[0].narrow(0, 7, 9), 1e-4, 1e-4));
}

/// Keys of one layer after a prompt.
at::Tensor keys_of(const ModelConfig& config, std::int64_t layer) {
  return feed(testing::tiny_transformer(7, config), {some_tokens(9, 1)}, 9).cache.k[layer];
}

TEST(Transformer, LayersOfSlidingAttentionRotateByTheirOwn) {
  ModelConfig usual = testing::tiny_config(), local = usual, mixed = usual;
  local.rope.theta = 100;
  mixed.local_rope = local.rope;
  mixed.local_layers = {true, false, true, false};
  EXPECT_TRUE(at::equal(keys_of(mixed, 0), keys_of(local, 0)));
  EXPECT_FALSE(at::equal(keys_of(mixed, 0), keys_of(usual, 0)));
  const Transformer model = testing::tiny_transformer(7, mixed);
  const at::Tensor position = at::tensor({5}, at::kLong);
  const auto turn = [&](std::int64_t layer) { return model.turn(layer, position).cos; };
  EXPECT_TRUE(at::equal(turn(0), turn(2)));
  EXPECT_FALSE(at::equal(turn(0), turn(1)));
}

/// Tokens beyond the window see less in those layers, and keys differ in the layers above alone.
TEST(Transformer, LayersOfSlidingAttentionSeeTheirWindow) {
  ModelConfig config = testing::tiny_config();
  const auto prompt = some_tokens(9, 1);
  const at::Tensor whole = feed(testing::tiny_transformer(7, config), {prompt}, 9).logits;
  config.sliding_window = 5;
  config.local_layers = {false, false, false, true};
  const Transformer last = testing::tiny_transformer(7, config);
  const at::Tensor windowed = feed(last, {prompt}, 9).logits;
  EXPECT_TRUE(at::equal(windowed[0].narrow(0, 0, 5), whole[0].narrow(0, 0, 5)));
  for (std::int64_t t = 5; t < 9; ++t)
    EXPECT_FALSE(at::allclose(windowed[0][t], whole[0][t], 1e-3, 1e-3));
  config.local_layers = {false, false, true, false};
  const KvCache plain =
                    feed(testing::tiny_transformer(7, testing::tiny_config()), {prompt}, 9).cache,
                cache = feed(testing::tiny_transformer(7, config), {prompt}, 9).cache;
  EXPECT_TRUE(at::equal(cache.k[2], plain.k[2]));
  EXPECT_FALSE(at::equal(cache.k[3], plain.k[3]));
}

TEST(Transformer, KeysAreScaledByTheRotationOnce) {
  ModelConfig scaled = testing::tiny_config();
  scaled.rope.scale = 1.5;
  const at::Tensor plain = keys_of(testing::tiny_config(), 0);
  EXPECT_TRUE(at::allclose(keys_of(scaled, 0), plain * 1.5, 1e-5, 1e-5));
  const Transformer model = testing::tiny_transformer(7, scaled);
  const Rotation turn = model.turn(0, at::tensor({5}, at::kLong));
  EXPECT_TRUE(at::allclose(turn.cos.square() + turn.sin.square(), at::ones_like(turn.cos)));
}

/// As in transformers: the stream is rounded once, in 16 bits after the halves' sum.
TEST(Transformer, HalvesSideBySideAreAddedToEachOtherFirst) {
  ModelConfig config = testing::tiny_config();
  config.parallel_residual = true;
  const Transformer model = testing::tiny_transformer(7, config, {at::kCPU, at::kBFloat16});
  std::vector<SiteCapture> at;
  for (const Site site : {Site::resid_pre, Site::attn_out, Site::mlp_out, Site::resid_post})
    at.push_back({.site = site, .layer = 1, .queries = 9});
  const at::Tensor logits = feed(model, {some_tokens(9, 1)}, 9, 4, &at).logits;
  const at::Tensor before = at[0].values, after = at[3].values;
  EXPECT_TRUE(at::equal(after, before + (at[1].values + at[2].values)));
  EXPECT_FALSE(at::equal(after, before + at[1].values + at[2].values));
  EXPECT_TRUE(at::equal(logits, feed(model, {some_tokens(9, 1)}, 9).logits));
}

TEST(Transformer, TokenByTokenEqualsAllAtOnce) {
  const Transformer model = testing::tiny_transformer();
  const auto prompt = some_tokens(7, 2);
  const Fed at_once = feed(model, {prompt}, 7);
  KvCache cache = KvCache::allocate(model.config(), model.placement(), 1, 7);
  for (std::int64_t i = 0; i < 7; ++i) {
    const LayerVisibility seen = causal_visibility(4, {i + 1}, i + 1);
    ForwardInput input;
    input.tokens = at::zeros({1, 1}, at::kLong) + prompt[i];
    input.positions = at::zeros({1, 1}, at::kLong) + i;
    input.column = i;
    input.seen = &seen;
    input.last_kv_layer = 4;
    input.outputs = Outputs::last_query;
    const at::Tensor logits = model.unembed(model.forward(input, cache));
    EXPECT_TRUE(at::allclose(logits[0], at_once.logits[0][i], 1e-4, 1e-4)) << "token " << i;
  }
}

TEST(Transformer, ARowsBitsDoNotDependOnItsCompanions) {
  const Transformer model = testing::tiny_transformer();
  const auto prompt = some_tokens(11, 3);
  std::vector<std::vector<std::int32_t>> one(8), other(8);
  for (std::int32_t r = 0; r < 8; ++r) {
    one[r] = some_tokens(5 + r, 10 + r);
    other[r] = some_tokens(16 - r, 40 + r);
  }
  one[5] = other[5] = prompt;
  const Fed a = feed(model, one, 16), b = feed(model, other, 16);
  EXPECT_TRUE(at::equal(a.logits[5].narrow(0, 5, 11), b.logits[5].narrow(0, 5, 11)));
  EXPECT_FALSE(at::equal(a.logits[4], b.logits[4]));
}

TEST(Transformer, AKvHeadServesItsOwnGroupOfQueryHeads) {
  const Transformer model = testing::tiny_transformer();  // 4 query heads, 2 KV heads
  const auto z_with = [&](std::vector<SiteEdit> patches) {
    KvCache cache = KvCache::allocate(model.config(), model.placement(), 1, 7);
    const LayerVisibility seen = causal_visibility(4, {7}, 7);
    std::vector<SiteCapture> captures{{Site::z, 0, 7}};
    ForwardInput input;
    input.tokens = at::arange(7, at::kLong).unsqueeze(0) + 11;
    input.positions = at::arange(7, at::kLong).unsqueeze(0);
    input.seen = &seen;
    input.edits = std::move(patches);
    input.captures = &captures;
    input.last_kv_layer = 4;
    model.forward(input, cache);
    return captures.front().values[0];  // [queries, query heads, hd]
  };
  at::Tensor weight = at::zeros({1, 7, 2, 1});
  weight.select(2, 1).fill_(1.0);
  const at::Tensor before = z_with({}),
                   after = z_with({{Site::v, 0, at::zeros({1, 7, 2, 12}), weight}});
  for (const std::int64_t head : {0, 1})
    EXPECT_TRUE(at::equal(after.select(1, head), before.select(1, head))) << "head " << head;
  for (const std::int64_t head : {2, 3})
    EXPECT_EQ(after.select(1, head).abs().max().item<double>(), 0.0) << "head " << head;
  // A query head's own q decides its z and no other head's.
  at::Tensor one_head = at::zeros({1, 7, 4, 1});
  one_head.select(2, 1).fill_(1.0);
  const at::Tensor other = z_with({{Site::q, 0, at::zeros({1, 7, 4, 12}), one_head}});
  for (const std::int64_t head : {0, 1, 2, 3})
    EXPECT_EQ(at::equal(other.select(1, head), before.select(1, head)), head != 1) << head;
}

TEST(Transformer, StoppingEarlyLeavesTheSameCells) {
  const Transformer model = testing::tiny_transformer();
  const Fed whole = feed(model, {some_tokens(9, 1)}, 9),
            part = feed(model, {some_tokens(9, 1)}, 9, 2);
  for (std::int64_t layer = 0; layer <= 2; ++layer) {
    EXPECT_TRUE(at::equal(whole.cache.v[layer], part.cache.v[layer]));
    EXPECT_TRUE(at::equal(whole.cache.k[layer], part.cache.k[layer]));
  }
  EXPECT_EQ(part.cache.v[3].abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace rvsweep
