#include "rvsweep/intervention/compiled_row.hpp"

#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// Base of n tokens, donor of m.
struct Prompts {
  Bundle bundle;
  BundleRow row;

  Prompts(const Arm& arm, std::int64_t n, std::int64_t m) {
    bundle.contexts.resize(2);
    bundle.contexts[0].tokens = testing::some_tokens(n, 1);
    bundle.contexts[1].tokens = testing::some_tokens(m, 2);
    row.donors.assign(arm.patches.size(), {1});
  }
  CompiledRow compile(const Arm& arm) const {
    return compile_row(arm, row, bundle, 8, testing::tiny_config());
  }
};

CompiledRow compiled(const Arm& arm, std::int64_t n, std::int64_t m) {
  return Prompts(arm, n, m).compile(arm);
}

Arm kv(Entry entry, const CacheTarget& target) {
  return {.entry = entry, .patches = {{.target = target, .layers = {1, 2}}}};
}

Arm site(std::int64_t window, Decode decode = Decode::prefill) {
  return {
      .patches = {{.target = SiteTarget{.window = window, .decode = decode}, .layers = {1, 2}}}};
}

TEST(CompiledRow, HoldLastFeedsTheLastTokenAtItsOwnPosition) {
  const CompiledRow plan = compiled(kv(Entry::hold_last, {}), 20, 25);
  EXPECT_EQ(plan.first_position(), 19);
  EXPECT_EQ(plan.cells_at(0), 19);
  EXPECT_EQ(plan.cells_at(1), 24);
  EXPECT_EQ(plan.cache.at(0).rotate_by, -5);
  EXPECT_EQ(plan.first_token, testing::some_tokens(20, 1).back());
  EXPECT_EQ(plan.future_keys(), 0);
}

TEST(CompiledRow, RefeedFeedsTheLastTokenOnceMore) {
  const CompiledRow plan = compiled(kv(Entry::refeed, {.align = Align::as_is}), 20, 25);
  EXPECT_EQ(plan.first_position(), 20);
  EXPECT_EQ(plan.cells_at(3), 20);
  EXPECT_EQ(plan.cells_at(2), 25);
  EXPECT_EQ(plan.cache.at(0).rotate_by, 0);
  EXPECT_EQ(plan.future_keys(), 4);  // donor keys 21..24 lie beyond position 20
}

TEST(CompiledRow, SeesTheDonorsCellsFromTheirStepOn) {
  const CompiledRow plan =
      compiled(kv(Entry::refeed, {.align = Align::as_is, .at_step = 3}), 20, 25);
  EXPECT_EQ(plan.cells_at(1, 2), 20);
  EXPECT_EQ(plan.cells_at(1, 3), 25);
  EXPECT_EQ(plan.cells_at(0, 3), 20);
  EXPECT_EQ(plan.future_keys(), 1);  // donor key 24 lies beyond position 23
}

TEST(CompiledRow, WithoutPatchesSeesBaseAlone) {
  const CompiledRow plan = compiled({}, 20, 25);
  EXPECT_TRUE(plan.sites.empty() && plan.cache.empty());
  EXPECT_EQ(plan.cells_at(0), 19);
  EXPECT_EQ(plan.growth_at(0), Growth::append);
}

TEST(CompiledRow, ShrinksTheWindowToTheShorterPrompt) {
  EXPECT_EQ(compiled(site(16), 20, 25).sites.at(0).cells.size(), 16u);
  EXPECT_EQ(compiled(site(16), 9, 25).sites.at(0).cells.size(), 9u);
  EXPECT_EQ(compiled(site(16), 20, 5).sites.at(0).cells.size(), 5u);
}

TEST(CompiledRow, EqualTokensAreNeutral) {
  Arm arm = kv(Entry::hold_last, {});
  Prompts prompts(arm, 20, 20);
  auto& donor = prompts.bundle.contexts[1].tokens;
  donor = prompts.bundle.contexts[0].tokens;
  const auto neutral = [&] { return prompts.compile(arm).cache.at(0).neutral; };
  EXPECT_TRUE(neutral());
  donor.back() += 1;  // held back, so its cell is never written
  EXPECT_TRUE(neutral());
  donor[10] += 1;
  EXPECT_FALSE(neutral());
  arm.patches[0].target = CacheTarget{.positions = parse_positions("first:10")};
  EXPECT_TRUE(neutral());  // what comes later does not change these
  arm.patches[0].target = CacheTarget{.positions = parse_positions("first:11")};
  EXPECT_FALSE(neutral());
  arm.patches[0].alpha = 0;
  EXPECT_TRUE(neutral());
}

TEST(CompiledRow, OperationsAreNeutralWhereTheyGiveWhatWasThere) {
  Arm arm = site(4);
  const auto neutral = [&](SiteOperation operation, double amount, std::int32_t donor) {
    auto& target = std::get<SiteTarget>(arm.patches[0].target);
    target.operation = operation;
    target.amount = amount;
    Prompts prompts(arm, 20, 25);
    prompts.bundle.derived = {{Derivation::zero, -1, 25}};
    prompts.row.donors[0].index = donor;
    return prompts.compile(arm).sites.at(0).neutral;
  };
  using enum SiteOperation;
  EXPECT_TRUE(neutral(replace, 1, 0));  // base itself
  for (const SiteOperation operation : {add, add_of_norm, project_out}) {
    EXPECT_FALSE(neutral(operation, 1, 0));
    EXPECT_FALSE(neutral(operation, 1, 1));
    EXPECT_TRUE(neutral(operation, 1, 2));  // zeros
  }
  EXPECT_FALSE(neutral(replace, 1, 2));
  EXPECT_TRUE(neutral(add, 0, 1));
  EXPECT_TRUE(neutral(scale, 1, 0));
  EXPECT_FALSE(neutral(scale, 0, 0));
}

TEST(CompiledRow, EachPatchKnowsItsPlaceAndWhetherItIsNeutral) {
  Arm arm = site(4);
  arm.patches.push_back(kv(Entry::hold_last, {}).patches[0]);
  arm.patches.push_back(arm.patches[0]);
  arm.patches[1].alpha = 0;
  const CompiledRow plan = compiled(arm, 20, 25);
  EXPECT_EQ(plan.n_patches(), 3u);
  EXPECT_EQ(plan.sites.at(0).place, 0u);
  EXPECT_EQ(plan.sites.at(1).place, 2u);
  EXPECT_EQ(plan.cache.at(0).place, 1u);
  EXPECT_FALSE(plan.sites.at(0).neutral || plan.sites.at(1).neutral);
  EXPECT_TRUE(plan.cache.at(0).neutral);
}

TEST(CompiledRow, DonorTokensOfASite) {
  const CompiledRow plan = compiled(site(4), 20, 25);
  const auto donor_token = [&](std::int64_t i) { return plan.donor_token(plan.sites.at(0), i); };
  EXPECT_EQ(donor_token(15), std::nullopt);
  EXPECT_EQ(donor_token(16), 21);
  EXPECT_EQ(donor_token(19), 24);
  EXPECT_EQ(donor_token(20), std::nullopt);
  const CompiledRow persist = compiled(site(4, Decode::persist), 20, 25);
  EXPECT_EQ(persist.donor_token(persist.sites.at(0), 30), 24);
}

CompiledRow at_positions(const std::string& positions, std::int64_t n, std::int64_t m,
                         Decode decode = Decode::prefill) {
  Arm arm = site(4, decode);
  std::get<SiteTarget>(arm.patches[0].target).positions = parse_positions(positions);
  return compiled(arm, n, m);
}

TEST(CompiledRow, PositionsOfASiteCountAllTokens) {
  using Cells = std::vector<Cell>;
  EXPECT_EQ(at_positions("last:2", 20, 25).sites[0].cells, (Cells{{23, 18}, {24, 19}}));
  EXPECT_EQ(at_positions("first:2", 20, 25).sites[0].cells, (Cells{{0, 0}, {1, 1}}));
  const CompiledRow all = at_positions("all", 20, 25), shorter = at_positions("all", 25, 20);
  EXPECT_EQ(all.sites[0].cells.size(), 20u);
  EXPECT_EQ(all.sites[0].cells_dropped, 5);
  EXPECT_EQ(all.sites[0].cells.front(), (Cell{5, 0}));
  EXPECT_EQ(shorter.sites[0].cells.front(), (Cell{0, 5}));
  EXPECT_EQ(shorter.sites[0].cells_dropped, 0);
  EXPECT_EQ(all.reach(), 20);
  EXPECT_EQ(shorter.reach(), 20);
  EXPECT_EQ(at_positions("span:2:4", 20, 25).reach(), 4);
}

TEST(CompiledRow, PersistGoesOnWithTheLastOfThePositions) {
  const CompiledRow plan = at_positions("span:2:4", 20, 25, Decode::persist);
  EXPECT_EQ(plan.donor_token(plan.sites[0], 16), 21);
  EXPECT_EQ(plan.donor_token(plan.sites[0], 18), std::nullopt);
  EXPECT_EQ(plan.donor_token(plan.sites[0], 20), 22);
}

TEST(CompiledRow, SitesThatHoldWhatTheDonorHasAreNeutral) {
  Arm arm = site(4);
  arm.patches[0].layers = {0};
  SiteTarget& target = std::get<SiteTarget>(arm.patches[0].target);
  Prompts prompts(arm, 20, 25);
  auto& base = prompts.bundle.contexts[0].tokens;
  auto& donor = prompts.bundle.contexts[1].tokens;
  base.back() = donor.back();
  const auto neutral = [&](Site at, const std::string& positions, std::int64_t layer) {
    target.site = at;
    target.positions = parse_positions(positions);
    arm.patches[0].layers = {layer};
    return prompts.compile(arm).sites[0].neutral;
  };
  EXPECT_TRUE(neutral(Site::resid_pre, "last:1", 0));  // the token's embedding
  EXPECT_FALSE(neutral(Site::resid_pre, "last:1", 1));
  EXPECT_FALSE(neutral(Site::z, "last:1", 0));
  EXPECT_FALSE(neutral(Site::v, "last:2", 0));
  std::copy_n(base.begin(), 3, donor.begin());
  EXPECT_TRUE(neutral(Site::z, "first:3", 2));
  EXPECT_FALSE(neutral(Site::z, "first:4", 2));
}

TEST(CompiledRow, KeysOfANamedSpanAreTurnedToItsCounterpart) {
  Arm arm = kv(Entry::hold_last, {.positions = parse_positions("span:place")});
  Prompts prompts(arm, 20, 25);
  prompts.row.donors[0].tokens = {{3, 4}, {10, 11, 12}};
  const CompiledRow plan = prompts.compile(arm);
  EXPECT_EQ(plan.cache[0].cells, (std::vector<Cell>{{3, 11}, {4, 12}}));
  EXPECT_EQ(plan.cache[0].rotate_by, 8);
  std::get<CacheTarget>(arm.patches[0].target).align = Align::as_is;
  EXPECT_EQ(prompts.compile(arm).cache[0].rotate_by, 0);
}

TEST(CompiledRow, StepsOfASiteAreThePromptAndThenEachNewToken) {
  Arm arm = site(4, Decode::persist);
  const auto steps = [&](Steps of) {
    std::get<SiteTarget>(arm.patches[0].target).steps = of;
    const CompiledRow plan = compiled(arm, 20, 25);
    const auto& patch = plan.sites.at(0);
    std::vector<std::int64_t> written;  // tokens from the one before the window on
    for (std::int64_t i = 15; i < 24; ++i)
      if (plan.donor_token(patch, i)) written.push_back(i);
    EXPECT_EQ(plan.patches_prompt(), of.from == 0);
    EXPECT_EQ(patch.generated_in(5),
              std::ranges::count_if(written, [](auto i) { return i >= 20; }));
    return written;
  };
  using Tokens = std::vector<std::int64_t>;
  EXPECT_EQ(steps({}), (Tokens{16, 17, 18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(steps({0, 1}), (Tokens{16, 17, 18, 19}));  // decode=prefill
  EXPECT_EQ(steps({1, 3}), (Tokens{20, 21}));          // g_1 and g_2
  EXPECT_EQ(steps({2, Steps::no_end}), (Tokens{21, 22, 23}));
}

TEST(CompiledRow, LeftAlignedKeysAreNotTurned) {
  const auto rotate_by = [](const std::string& positions) {
    const Arm arm = kv(Entry::hold_last, {.positions = parse_positions(positions)});
    return compiled(arm, 20, 25).cache.at(0).rotate_by;
  };
  EXPECT_EQ(rotate_by("first:3"), 0);
  EXPECT_EQ(rotate_by("last:3"), -5);
}

TEST(CompiledRow, TellsEveryPatchByItsLayers) {
  Arm arm = kv(Entry::refeed, {.growth = Growth::frozen, .align = Align::as_is});
  arm.patches.push_back({.target = CacheTarget{.positions = parse_positions("last:2"),
                                               .growth = Growth::compound,
                                               .align = Align::as_is},
                         .layers = {3}});
  arm.patches.push_back({.target = SiteTarget{.window = 4}, .layers = {3}});
  arm.patches.push_back({.target = SiteTarget{.site = Site::q, .window = 4}, .layers = {2, 3}});
  Prompts prompts(arm, 20, 25);
  prompts.row.donors[3].index = 0;
  const CompiledRow plan = prompts.compile(arm);
  ASSERT_EQ(plan.cache.size(), 2u);
  ASSERT_EQ(plan.sites.size(), 2u);
  EXPECT_EQ(plan.cells_at(0), 20);
  EXPECT_EQ(plan.cells_at(1), 25);  // the donor's whole cache
  EXPECT_EQ(plan.cells_at(3), 20);  // some of its cells
  EXPECT_EQ(plan.growth_at(0), Growth::append);
  EXPECT_EQ(plan.growth_at(2), Growth::frozen);
  EXPECT_EQ(plan.growth_at(3), Growth::compound);
  EXPECT_FALSE(plan.patches_site(1));
  EXPECT_TRUE(plan.patches_site(2));
  EXPECT_EQ(plan.first_site_layer(), 2);
  EXPECT_EQ(plan.sites[0].heads.size(), 2u);  // KV heads
  EXPECT_EQ(plan.sites[1].heads.size(), 4u);  // query heads
  EXPECT_EQ(plan.sites[0].donor, 1);
  EXPECT_EQ(plan.sites[1].donor, 0);
  EXPECT_EQ(plan.future_keys(), 4 + 2);  // keys 21..24; the last two of them once more
  EXPECT_EQ(layer_heads(plan.sites[1]), 2 * 4);
}

}  // namespace
}  // namespace rvsweep
