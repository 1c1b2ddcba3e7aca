#include "rvsweep/intervention/row_plan.hpp"

#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

RowPlan compiled(ArmSpec arm, std::int64_t n, std::int64_t m) {
  arm.layers = {1, 2};
  std::vector<BundleContext> contexts(2);
  contexts[0].tokens = testing::some_tokens(n, 1);
  contexts[1].tokens = testing::some_tokens(m, 2);
  BundleRow row;
  row.base = 0;
  row.donor = arm.is_patched() ? 1 : -1;
  return compile_row(arm, row, contexts, 4);
}

ArmSpec kv(Entry entry, Align align) {
  ArmSpec arm;
  arm.kind = ArmKind::kv_cache;
  arm.entry = entry;
  arm.align = align;
  return arm;
}

TEST(RowPlan, HoldLastFeedsTheLastTokenAtItsOwnPosition) {
  const RowPlan plan = compiled(kv(Entry::hold_last, Align::rerotate), 20, 25);
  EXPECT_EQ(plan.first_position(), 19);
  EXPECT_EQ(plan.cells_at(0), 19);
  EXPECT_EQ(plan.cells_at(1), 24);
  EXPECT_EQ(plan.rotate_by, -5);
  EXPECT_EQ(plan.first_token, testing::some_tokens(20, 1).back());
  EXPECT_EQ(plan.future_keys, 0);
}

TEST(RowPlan, RefeedFeedsTheLastTokenOnceMore) {
  const RowPlan plan = compiled(kv(Entry::refeed, Align::as_is), 20, 25);
  EXPECT_EQ(plan.first_position(), 20);
  EXPECT_EQ(plan.cells_at(3), 20);
  EXPECT_EQ(plan.cells_at(2), 25);
  EXPECT_EQ(plan.rotate_by, 0);
  EXPECT_EQ(plan.future_keys, 4);  // donor keys 21..24 lie beyond position 20
}

TEST(RowPlan, ShrinksTheWindowToTheShorterPrompt) {
  ArmSpec arm;
  arm.kind = ArmKind::v_proj;
  arm.window = 16;
  EXPECT_EQ(compiled(arm, 20, 25).v_window, 16);
  EXPECT_EQ(compiled(arm, 9, 25).v_window, 9);
  EXPECT_EQ(compiled(arm, 20, 5).v_window, 5);
}

TEST(RowPlan, EqualTokensAreNeutral) {
  ArmSpec arm = kv(Entry::hold_last, Align::rerotate);
  arm.layers = {1};
  std::vector<BundleContext> contexts(2);
  contexts[0].tokens = contexts[1].tokens = testing::some_tokens(20, 1);
  BundleRow row;
  row.donor = 1;
  EXPECT_TRUE(compile_row(arm, row, contexts, 4).neutral);
  contexts[1].tokens.back() += 1;  // held back, so its cell is never written
  EXPECT_TRUE(compile_row(arm, row, contexts, 4).neutral);
  contexts[1].tokens.front() += 1;
  EXPECT_FALSE(compile_row(arm, row, contexts, 4).neutral);
}

}  // namespace
}  // namespace rvsweep
