#include "rvsweep/intervention/site_patch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "rvsweep/intervention/prompt_cache.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::tiny_config;

constexpr std::int64_t T = 16, n = 10, m = 12, W = 4, n_layers = 4;

/// Feeds one prompt, right-aligned in T columns, through the whole model.
KvCache feed(const Transformer& model, const std::vector<std::int32_t>& prompt,
             std::vector<SiteCapture>& captures, const std::vector<SiteEdit>& edits = {}) {
  const auto length = std::ssize(prompt);
  KvCache cache = KvCache::allocate(tiny_config(), {}, 1, T);
  const LayerVisibility seen = causal_visibility(n_layers, {length}, T);
  ForwardInput input;
  input.tokens = at::zeros({1, T}, at::kLong);
  input.tokens[0].narrow(0, T - length, length).copy_(at::tensor(prompt, at::kInt));
  input.positions = (at::arange(T, at::kLong) - (T - length)).clamp_min(0).unsqueeze(0);
  input.seen = &seen;
  input.edits = edits;
  input.captures = &captures;
  input.last_kv_layer = n_layers;
  model.forward(input, cache);
  return cache;
}

/// A patch of the last W tokens of base (slot 0) by the donor's (slot 1).
CompiledSitePatch patch_of(Site site, std::int64_t layer, std::vector<bool> heads,
                           double alpha = 1) {
  CompiledSitePatch patch;
  patch.site = site;
  patch.layers.resize(n_layers, false);
  patch.layers[layer] = true;
  patch.heads = std::move(heads);
  patch.donor = 1;
  patch.m = m;
  patch.alpha = alpha;
  for (std::int64_t d = W; d > 0; --d) patch.cells.push_back({m - d, n - d});
  return patch;
}

CompiledRow row_of(std::vector<CompiledSitePatch> patches) {
  CompiledRow row;
  row.n = n;
  row.cached = n - 1;
  row.sites = std::move(patches);
  for (std::size_t place = 0; place < row.sites.size(); ++place) row.sites[place].place = place;
  return row;
}

/// The two prompts after their prefill, and rows made from them.
struct Study {
  Transformer model = testing::tiny_transformer();
  ContextState contexts;
  std::vector<CompiledRow> plans;
  KvCache rows;
  std::vector<RowProof> proofs;

  explicit Study(std::vector<CompiledRow> of, std::int64_t kept = W) : plans(std::move(of)) {
    for (const CompiledRow& plan : plans) proofs.emplace_back(plan.n_patches());
    contexts = ContextState::allocate(tiny_config(), {}, {T, T}, T);
    for (const std::int64_t slot : {0, 1}) {
      auto sites = captures_for(plans, kept), streams = streams_for(plans, kept);
      auto captures = sites;
      captures.insert(captures.end(), streams.begin(), streams.end());
      const KvCache cache =
          feed(model, some_tokens(slot == 0 ? n : m, slot == 0 ? 1 : 2), captures);
      contexts.cache.k.select(1, slot).copy_(cache.k.select(1, 0));
      contexts.cache.v.select(1, slot).copy_(cache.v.select(1, 0));
      records_of_slot.push_back(std::move(captures));
    }
    for (std::size_t i = 0; i < records_of_slot[0].size(); ++i) {
      SiteCapture both = records_of_slot[0][i];
      both.values = at::cat({both.values, records_of_slot[1][i].values});
      (i < captures_for(plans, kept).size() ? contexts.sites : contexts.streams).push_back(both);
    }
    rows = KvCache::allocate(tiny_config(), {}, std::ssize(plans), T);
    copy_base_cells(contexts, plans, rows);
    std::vector<SiteCapture> measured;
    run_patched_suffix(model, contexts, plans, W, rows, measured, proofs);
  }

  std::vector<std::vector<SiteCapture>> records_of_slot;
};

/// With hold_last the last token is held back, with refeed it is part of the prompt's cells.
class Suffix : public ::testing::TestWithParam<bool> {};

TEST_P(Suffix, OfTwoPatchesIsThatOfTheWholePromptFedUnderBoth) {
  const std::int64_t held_back = GetParam() ? 0 : 1;
  const CompiledSitePatch v = patch_of(Site::v, 1, {true, false});
  const CompiledSitePatch mlp = patch_of(Site::mlp_out, 2, {true}, 0.5);
  CompiledRow row = row_of({v, mlp});
  row.refeeds = GetParam();
  row.cached = n - held_back;
  const Study study({row});
  // The prompt's cells once more from the first token on; cell i lies in column T - cached + i, and
  // the window's tokens in the last columns.
  const std::int64_t patched = W - held_back;
  std::vector<SiteEdit> edits;
  std::vector<SiteCapture> captures;
  for (const CompiledSitePatch& patch : {v, mlp}) {
    const auto of_site = [&](const SiteCapture& c) { return c.site == patch.site; };
    const auto& capture = *std::ranges::find_if(study.contexts.sites, of_site);
    auto shape = capture.values.sizes().vec();
    shape[0] = 1;
    shape[1] = T;
    SiteEdit edit{patch.site, capture.layer, at::zeros(shape), at::zeros({1, T, shape[2], 1})};
    edit.values[0].narrow(0, T - patched, patched).copy_(capture.values[1].narrow(0, 0, patched));
    edit.weight[0].narrow(0, T - patched, patched).select(1, 0).fill_(patch.alpha);
    edits.push_back(edit);
    captures.push_back({patch.site, capture.layer, patched});
  }
  std::vector<std::int32_t> tokens = some_tokens(n, 1);
  tokens.resize(row.cached);
  const KvCache expected = feed(study.model, tokens, captures, edits);
  const auto cells = [&](const at::Tensor& cache) {
    return cache.narrow(3, T - row.cached, row.cached);
  };
  EXPECT_TRUE(at::allclose(cells(study.rows.k), cells(expected.k), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(cells(study.rows.v), cells(expected.v), 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(cells(study.rows.k)[2], cells(study.contexts.cache.k)[2][0], 1e-2));
  for (std::size_t i = 0; i < 2; ++i) {  // sites are captured in the order of the patches
    const at::Tensor old = study.contexts.sites[i].values[0].narrow(0, 0, patched);
    const double change =
        (captures[i].values[0].select(1, 0) - old.select(1, 0)).square().sum().item<double>();
    EXPECT_NEAR(study.proofs[0][i].change_squared, change, 1e-4 * change) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(SitePatch, Suffix, ::testing::Values(false, true));

TEST(SitePatch, TokensBeforeTheWindowAreFedWithTheRowsThatReachThem) {
  CompiledSitePatch early = patch_of(Site::v, 1, {true, true}), late = early;
  early.cells = {{7, 1}, {2, 5}};
  late.cells = {{m - 2, n - 2}};
  const Study study({row_of({early}), row_of({late})}, T);
  const at::Tensor of_donor = study.contexts.cache.v[1][1];  // [nkv, T, hd]
  const auto changed = [&](std::int64_t row, std::int64_t layer) {
    std::vector<std::int64_t> tokens;
    for (std::int64_t i = 0; i < n - 1; ++i) {
      const at::Tensor now = study.rows.v[layer][row].select(1, T - n + 1 + i);
      const at::Tensor old = study.contexts.cache.v[layer][0].select(1, T - n + i);
      if (!at::allclose(now, old, 1e-3, 1e-4)) tokens.push_back(i);
    }
    return tokens;
  };
  ASSERT_EQ(changed(0, 1), (std::vector<std::int64_t>{1, 5}));
  EXPECT_EQ(changed(1, 1), (std::vector<std::int64_t>{n - 2}));
  EXPECT_EQ(changed(0, 2).front(), 1);  // and what attends to it
  EXPECT_TRUE(
      at::equal(study.rows.v[1][0].select(1, T - n + 1 + 5), of_donor.select(1, T - m + 2)));
  // The other row is fed the window alone, as in a sweep without such patches.
  const Study windows({row_of({late})});
  EXPECT_TRUE(at::equal(study.rows.k.select(1, 1), windows.rows.k.select(1, 0)));
}

TEST(SitePatch, PatchesOfOneHeadEachAreAPatchOfBoth) {
  const Study both({row_of({patch_of(Site::v, 1, {true, true})})});
  const Study each(
      {row_of({patch_of(Site::v, 1, {true, false}), patch_of(Site::v, 1, {false, true})})});
  EXPECT_TRUE(at::equal(each.rows.k, both.rows.k));
  EXPECT_TRUE(at::equal(each.rows.v, both.rows.v));
  EXPECT_DOUBLE_EQ(sum_of(each.proofs[0]).change_squared, sum_of(both.proofs[0]).change_squared);
}

TEST(SitePatch, RowsOfOneBatchHaveTheirOwnPatches) {
  const CompiledSitePatch k = patch_of(Site::k, 2, {true, true});
  const CompiledSitePatch v = patch_of(Site::v, 1, {true, true}, 0.25);
  const std::vector<CompiledRow> plans{row_of({}), row_of({k}), row_of({v, k})};
  const Study study(plans);
  EXPECT_TRUE(at::equal(study.rows.v.select(1, 0).narrow(2, T - n + 1, n - 1),
                        study.contexts.cache.v.select(1, 0).narrow(2, T - n, n - 1)));
  EXPECT_EQ(sum_of(study.proofs[0]).change_squared, 0);
  for (const std::size_t r : {1, 2}) {
    const Study alone({plans[r]});
    const auto row = static_cast<std::int64_t>(r);
    EXPECT_TRUE(at::allclose(study.rows.k.select(1, row), alone.rows.k.select(1, 0), 1e-4, 1e-5));
    for (std::size_t i = 0; i < plans[r].sites.size(); ++i)
      EXPECT_NEAR(study.proofs[r][i].change_squared, alone.proofs[0][i].change_squared,
                  1e-5 * alone.proofs[0][i].change_squared);
  }
}

TEST(SitePatch, CapturesEverySiteOnceAndStreamsWherePatchesBegin) {
  const CompiledSitePatch low = patch_of(Site::v, 1, {true, true});
  const CompiledSitePatch high = patch_of(Site::q, 3, {true, true, true, true});
  const std::vector<CompiledRow> plans{row_of({high, low}), row_of({high}), row_of({})};
  const auto captures = captures_for(plans, W), streams = streams_for(plans, W);
  ASSERT_EQ(captures.size(), 2u);
  EXPECT_EQ(std::pair(captures[0].site, captures[0].layer), std::pair(Site::q, std::int64_t{3}));
  EXPECT_EQ(std::pair(captures[1].site, captures[1].layer), std::pair(Site::v, std::int64_t{1}));
  ASSERT_EQ(streams.size(), 2u);
  EXPECT_EQ(streams[0].layer, 1);
  EXPECT_EQ(streams[1].layer, 3);
  EXPECT_EQ(streams[0].site, Site::resid_pre);
  EXPECT_EQ(streams[0].queries, W);
}

TEST(SitePatch, GeneratedTokensAreEditedByPersistentPatchesAlone) {
  CompiledSitePatch once = patch_of(Site::v, 1, {true, true}), on = once;
  on.steps = {};
  const Study study({row_of({once}), row_of({on}), row_of({once, on})});
  const auto written = [&](std::int64_t token) {
    const PassEdits edits =
        pass_edits(study.model, study.contexts, study.plans, {token, token, token}, 1);
    std::vector<double> rows(3, 0);
    for (const at::Tensor& of_edit : edits.written)
      for (std::int64_t r = 0; r < 3; ++r) rows[r] += of_edit[r].sum().item<double>();
    return rows;
  };
  EXPECT_EQ(written(n - 1), (std::vector<double>{2, 2, 4}));  // b[n-1], two heads a patch
  EXPECT_EQ(written(n), (std::vector<double>{0, 2, 2}));
  EXPECT_EQ(written(n - W - 1), (std::vector<double>{0, 0, 0}));
  const PassEdits later = pass_edits(study.model, study.contexts, study.plans, {n, n, n}, 1);
  const at::Tensor last = study.contexts.sites.at(0).values[1][W - 1];  // of the donor's window
  EXPECT_TRUE(at::equal(later.edits.at(0).values[1][0], last));
  EXPECT_EQ(later.old.at(0)[1].abs().sum().item<double>(), 0);  // base has no such token
}

}  // namespace
}  // namespace rvsweep
