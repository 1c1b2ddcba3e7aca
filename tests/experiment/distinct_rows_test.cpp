#include "experiment/distinct_rows.hpp"

#include <gtest/gtest.h>

#include "experiment/study.hpp"

namespace rvsweep {
namespace {

using Slots = std::vector<std::int64_t>;

TEST(DistinctRows, GreedyRowsThatAreTheSameAreDecodedOnce) {
  const testing::Study study = testing::study_of_equal_rows(0);
  const PreparedBundle prepared = study.prepare();
  const auto distinct = distinct_rows(prepared);
  EXPECT_EQ(distinct.slot_of, (Slots{0, 1, 2, 0, 3, 4}));
  ASSERT_EQ(distinct.batch.rows.size(), 5u);
  EXPECT_EQ(distinct.batch.rows[3].row.value, 4);
  EXPECT_EQ(distinct.batch.compiled.size(), 8u);
}

TEST(DistinctRows, SampledRowsAreAllDecoded) {
  const testing::Study study = testing::study_of_equal_rows(0.7);
  const PreparedBundle prepared = study.prepare();
  const auto distinct = distinct_rows(prepared);
  EXPECT_EQ(distinct.slot_of, (Slots{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(distinct.batch.rows.size(), 6u);
  EXPECT_EQ(distinct.batch.compiled.size(), prepared.rows.size());
}

}  // namespace
}  // namespace rvsweep
