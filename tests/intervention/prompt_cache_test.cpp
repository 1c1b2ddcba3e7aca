#include "rvsweep/intervention/prompt_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t T = 8, base_slot = 0, donor_slot = 1;

/// A number that tells where a cell of the contexts lies.
double number(std::int64_t layer, std::int64_t slot, std::int64_t head, std::int64_t column) {
  return static_cast<double>(1000 * layer + 100 * slot + 10 * head + column);
}

/// Prompts of two slots whose every component is the number of its cell.
ContextState numbered_contexts() {
  ContextState contexts = ContextState::allocate(testing::tiny_config(), {}, {T, T}, T);
  const KvCache& cache = contexts.cache;
  for (std::int64_t layer = 0; layer < 4; ++layer)
    for (const std::int64_t slot : {base_slot, donor_slot})
      for (std::int64_t head = 0; head < 2; ++head)
        for (std::int64_t column = 0; column < T; ++column) {
          cache.k[layer][slot][head][column].fill_(number(layer, slot, head, column));
          cache.v[layer][slot][head][column].fill_(number(layer, slot, head, column));
        }
  return contexts;
}

/// Base has 5 tokens, the donor 7, b[n-1] and s[m-1] are held back: the donor's last two cells go
/// into base's last two, V of head 1 at layer 1.
CompiledRow last_two_cells() {
  CompiledRow plan;
  plan.base = base_slot;
  plan.n = 5;
  plan.cached = 4;
  CompiledCachePatch patch;
  patch.donor = donor_slot;
  patch.m = 7;
  patch.donor_cached = 6;
  patch.cells = {{5, 3}, {4, 2}};
  patch.cells_dropped = 3;
  patch.heads = {false, true};
  patch.layers = {false, true, false, false};
  patch.writes_k = false;
  plan.cache = {patch};
  return plan;
}

struct Composed {
  KvCache cache;
  PatchProof proof;
};

Composed compose(const CompiledRow& plan, const ContextState& contexts) {
  Composed composed{KvCache::allocate(testing::tiny_config(), {}, 1, T), {}};
  std::vector<RowProof> proofs{RowProof(plan.n_patches())};
  copy_base_cells(contexts, {plan}, composed.cache);
  patch_prompt_caches(testing::tiny_transformer(), contexts, {plan}, composed.cache, proofs);
  composed.proof = sum_of(proofs.front());
  return composed;
}

double at(const at::Tensor& cache, std::int64_t layer, std::int64_t head, std::int64_t column) {
  return cache[layer][0][head][column][7].item<double>();
}

TEST(PromptCache, BasesCellsEndInTheLastColumnWithoutTheTokenHeldBack) {
  const Composed composed = compose(last_two_cells(), numbered_contexts());
  for (std::int64_t layer = 0; layer < 4; ++layer)
    for (std::int64_t head = 0; head < 2; ++head)
      for (std::int64_t i = 0; i < 4; ++i) {
        // Token i of 5 lies in column 3 + i of the context and 4 + i of the row.
        const double expected = number(layer, base_slot, head, 3 + i);
        EXPECT_EQ(at(composed.cache.k, layer, head, 4 + i), expected);
        if (layer == 1 && head == 1 && i >= 2) continue;  // written by the patch
        EXPECT_EQ(at(composed.cache.v, layer, head, 4 + i), expected);
      }
}

TEST(PromptCache, WritesTheDonorsCellsOfTheChosenHeadLayerAndComponent) {
  const Composed composed = compose(last_two_cells(), numbered_contexts());
  // Tokens 4 and 5 of 7 lie in columns 5 and 6.
  EXPECT_EQ(at(composed.cache.v, 1, 1, 6), number(1, donor_slot, 1, 5));
  EXPECT_EQ(at(composed.cache.v, 1, 1, 7), number(1, donor_slot, 1, 6));
}

TEST(PromptCache, AlphaIsTheDonorsShare) {
  CompiledRow plan = last_two_cells();
  plan.cache[0].alpha = 0.25;
  const Composed composed = compose(plan, numbered_contexts());
  const double expected = 0.75 * number(1, base_slot, 1, 6) + 0.25 * number(1, donor_slot, 1, 6);
  EXPECT_FLOAT_EQ(at(composed.cache.v, 1, 1, 7), expected);
}

TEST(PromptCache, TurnsDonorKeysForwardAndNothingElse) {
  const ContextState contexts = numbered_contexts();
  contexts.cache.k.zero_();
  contexts.cache.k.select(-1, 0).fill_(1.0);  // frequency 1: one radian a position
  CompiledRow plan = last_two_cells();
  plan.cache[0].writes_k = true;
  plan.cache[0].writes_v = false;
  plan.cache[0].rotate_by = 2;
  const Composed composed = compose(plan, contexts);
  const at::Tensor written = composed.cache.k[1][0][1][7], kept = composed.cache.k[1][0][1][5];
  EXPECT_NEAR(written[0].item<double>(), std::cos(2.0), 1e-6);
  EXPECT_NEAR(written[6].item<double>(), std::sin(2.0), 1e-6);
  EXPECT_EQ(kept[0].item<double>(), 1.0);
  EXPECT_EQ(kept[6].item<double>(), 0.0);
  EXPECT_EQ(at(composed.cache.v, 1, 1, 7), number(1, base_slot, 1, 6));
}

TEST(PromptCache, ProvesWhatWasWritten) {
  CompiledRow plan = last_two_cells();
  plan.cache[0].layers[2] = true;
  const PatchProof proof = compose(plan, numbered_contexts()).proof;
  EXPECT_EQ(proof.cells_changed, 2 * 2);  // cells, layers
  EXPECT_EQ(proof.cells_dropped, 3 * 2);
  const double change = number(1, donor_slot, 1, 5) - number(1, base_slot, 1, 5);  // at both cells
  EXPECT_EQ(proof.change_squared, 2 * 2 * 12 * change * change);
}

TEST(PromptCache, PatchesOfOneLayerEachAreAPatchOfBoth) {
  CompiledRow both = last_two_cells(), each = last_two_cells();
  both.cache[0].layers[2] = true;
  each.cache.push_back(each.cache[0]);
  each.cache[1].layers = {false, false, true, false};
  const Composed of_both = compose(both, numbered_contexts());
  const Composed of_each = compose(each, numbered_contexts());
  EXPECT_TRUE(at::equal(of_each.cache.k, of_both.cache.k));
  EXPECT_TRUE(at::equal(of_each.cache.v, of_both.cache.v));
  EXPECT_EQ(of_each.proof.cells_changed, of_both.proof.cells_changed);
  EXPECT_EQ(of_each.proof.cells_dropped, of_both.proof.cells_dropped);
  EXPECT_EQ(of_each.proof.change_squared, of_both.proof.change_squared);
}

TEST(PromptCache, ALaterPatchWritesOverAnEarlierOne) {
  CompiledRow plan = last_two_cells();
  plan.cache.push_back(plan.cache[0]);
  plan.cache[1].cells = {{4, 3}};
  plan.cache[1].alpha = 0.5;
  const Composed composed = compose(plan, numbered_contexts());
  const double first = number(1, donor_slot, 1, 6), second = number(1, donor_slot, 1, 5);
  EXPECT_FLOAT_EQ(at(composed.cache.v, 1, 1, 7), 0.5 * first + 0.5 * second);
  EXPECT_EQ(at(composed.cache.v, 1, 1, 6), number(1, donor_slot, 1, 5));
  EXPECT_EQ(composed.proof.cells_changed, 2 + 1);
}

TEST(PromptCache, RowsOfOneBatchHaveTheirOwnPatches) {
  const ContextState contexts = numbered_contexts();
  CompiledRow unpatched = last_two_cells(), twice = last_two_cells();
  unpatched.cache.clear();
  twice.cache.push_back(twice.cache[0]);
  twice.cache[1].heads = {true, false};
  twice.cache[1].place = 1;
  const std::vector<CompiledRow> plans{unpatched, last_two_cells(), twice};
  KvCache batch = KvCache::allocate(testing::tiny_config(), {}, 3, T);
  std::vector<RowProof> proofs;
  for (const CompiledRow& plan : plans) proofs.emplace_back(plan.n_patches());
  copy_base_cells(contexts, plans, batch);
  patch_prompt_caches(testing::tiny_transformer(), contexts, plans, batch, proofs);
  for (std::int64_t r = 0; r < 3; ++r) {
    const Composed alone = compose(plans[r], contexts);
    EXPECT_TRUE(at::equal(batch.k.select(1, r), alone.cache.k.select(1, 0))) << r;
    EXPECT_TRUE(at::equal(batch.v.select(1, r), alone.cache.v.select(1, 0))) << r;
    EXPECT_EQ(sum_of(proofs[r]).change_squared, alone.proof.change_squared) << r;
  }
  EXPECT_EQ(sum_of(proofs[0]).cells_changed, 0);
  EXPECT_EQ(proofs[2][0].cells_changed, proofs[1][0].cells_changed);
  EXPECT_EQ(proofs[2][1].cells_changed, proofs[1][0].cells_changed);
}

}  // namespace
}  // namespace rvsweep
