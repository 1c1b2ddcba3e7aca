#include "rvsweep/sweep/progress.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace rvsweep {
namespace {

const RowCounts some{.total = 250, .refused = 10, .done = 120, .failed = 3};

TEST(ProgressLine, HasABarOf24WhereThereIsRoom) {
  EXPECT_EQ(progress_line(some, 20, 10, 80),
            "[############------------] 120/240 rows  10.0 rows/s  ETA 0:12  3 failed");
  EXPECT_EQ(progress_line({.total = 8}, 0, 0, 80), "[------------------------] 0/8 rows");
}

TEST(ProgressLine, FitsATerminalOfAnyWidthAndKeepsItsNumbers) {
  EXPECT_EQ(progress_line(some, 20, 10, 57),
            "[####----] 120/240 rows  10.0 rows/s  ETA 0:12  3 failed");
  EXPECT_EQ(progress_line(some, 20, 10, 50), "120/240 rows  10.0 rows/s  ETA 0:12  3 failed");
  for (int columns = 0; columns < 100; ++columns)
    EXPECT_LE(std::ssize(progress_line(some, 20, 10, columns)), std::max(0, columns - 1));
}

}  // namespace
}  // namespace rvsweep
