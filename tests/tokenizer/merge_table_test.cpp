#include "tokenizer/merge_table.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(MergeTable, FindsWhatWasSetAndNothingElse) {
  constexpr std::int32_t n = 700;
  MergeTable table(n * n / 2);
  for (std::int32_t left = 0; left < n; ++left)
    for (std::int32_t right = left % 2; right < n; right += 2)
      table.set(left, right, {left, right});
  for (std::int32_t left = 0; left < n; ++left) {
    for (std::int32_t right = 0; right < n; ++right) {
      const Merge* merge = table.find(left, right);
      ASSERT_EQ(merge != nullptr, left % 2 == right % 2);
      if (merge == nullptr) continue;
      ASSERT_EQ(merge->rank, left);
      ASSERT_EQ(merge->merged, right);
    }
  }
}

TEST(MergeTable, ALaterMergeOfAPairReplacesTheEarlier) {
  MergeTable table(2);
  table.set(1, 2, {0, 7});
  table.set(1, 2, {1, 8});
  EXPECT_EQ(table.find(1, 2)->rank, 1);
  EXPECT_EQ(table.find(1, 2)->merged, 8);
}

TEST(MergeTable, MayBeEmpty) { EXPECT_EQ(MergeTable(0).find(0, 0), nullptr); }

}  // namespace
}  // namespace rvsweep
