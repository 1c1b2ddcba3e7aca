#include "rvsweep/intervention/compiled_row.hpp"

#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

CompiledRow compiled(ArmSpec arm, std::int64_t n, std::int64_t m) {
  arm.layers = {1, 2};
  Bundle bundle;
  bundle.contexts.resize(2);
  bundle.contexts[0].tokens = testing::some_tokens(n, 1);
  bundle.contexts[1].tokens = testing::some_tokens(m, 2);
  BundleRow row;
  row.base = 0;
  row.donor = arm.is_patched() ? 1 : -1;
  return compile_row(arm, row, bundle, 8, testing::tiny_config());
}

ArmSpec kv(Entry entry, Align align) {
  ArmSpec arm;
  arm.kind = ArmKind::kv_cache;
  arm.entry = entry;
  arm.align = align;
  return arm;
}

TEST(CompiledRow, HoldLastFeedsTheLastTokenAtItsOwnPosition) {
  const CompiledRow plan = compiled(kv(Entry::hold_last, Align::rerotate), 20, 25);
  EXPECT_EQ(plan.first_position(), 19);
  EXPECT_EQ(plan.cells_at(0), 19);
  EXPECT_EQ(plan.cells_at(1), 24);
  EXPECT_EQ(plan.rotate_by, -5);
  EXPECT_EQ(plan.first_token, testing::some_tokens(20, 1).back());
  EXPECT_EQ(plan.future_keys, 0);
}

TEST(CompiledRow, RefeedFeedsTheLastTokenOnceMore) {
  const CompiledRow plan = compiled(kv(Entry::refeed, Align::as_is), 20, 25);
  EXPECT_EQ(plan.first_position(), 20);
  EXPECT_EQ(plan.cells_at(3), 20);
  EXPECT_EQ(plan.cells_at(2), 25);
  EXPECT_EQ(plan.rotate_by, 0);
  EXPECT_EQ(plan.future_keys, 4);  // donor keys 21..24 lie beyond position 20
}

TEST(CompiledRow, ShrinksTheWindowToTheShorterPrompt) {
  ArmSpec arm;
  arm.kind = ArmKind::site;
  arm.window = 16;
  EXPECT_EQ(compiled(arm, 20, 25).window, 16);
  EXPECT_EQ(compiled(arm, 9, 25).window, 9);
  EXPECT_EQ(compiled(arm, 20, 5).window, 5);
}

TEST(CompiledRow, EqualTokensAreNeutral) {
  ArmSpec arm = kv(Entry::hold_last, Align::rerotate);
  arm.layers = {1};
  Bundle bundle;
  bundle.contexts.resize(2);
  auto& donor = bundle.contexts[1].tokens;
  bundle.contexts[0].tokens = donor = testing::some_tokens(20, 1);
  BundleRow row;
  row.donor = 1;
  const auto neutral = [&] {
    return compile_row(arm, row, bundle, 8, testing::tiny_config()).neutral;
  };
  EXPECT_TRUE(neutral());
  donor.back() += 1;  // held back, so its cell is never written
  EXPECT_TRUE(neutral());
  donor[10] += 1;
  EXPECT_FALSE(neutral());
  arm.positions = parse_positions("first:10");  // what comes later does not change these
  EXPECT_TRUE(neutral());
  arm.positions = parse_positions("first:11");
  EXPECT_FALSE(neutral());
  arm.alpha = 0;
  EXPECT_TRUE(neutral());
}

TEST(CompiledRow, DonorTokensOfASite) {
  ArmSpec arm;
  arm.kind = ArmKind::site;
  arm.window = 4;
  CompiledRow plan = compiled(arm, 20, 25);
  EXPECT_EQ(plan.donor_token(15), std::nullopt);
  EXPECT_EQ(plan.donor_token(16), 21);
  EXPECT_EQ(plan.donor_token(19), 24);
  EXPECT_EQ(plan.donor_token(20), std::nullopt);
  arm.decode = Decode::persist;
  EXPECT_EQ(compiled(arm, 20, 25).donor_token(30), 24);
}

TEST(CompiledRow, LeftAlignedKeysAreNotTurned) {
  ArmSpec arm = kv(Entry::hold_last, Align::rerotate);
  arm.positions = parse_positions("first:3");
  EXPECT_EQ(compiled(arm, 20, 25).rotate_by, 0);
  arm.positions = parse_positions("last:3");
  EXPECT_EQ(compiled(arm, 20, 25).rotate_by, -5);
}

}  // namespace
}  // namespace rvsweep
