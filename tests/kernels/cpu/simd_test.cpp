#include "kernels/cpu/simd.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rvsweep {
namespace {

TEST(VectorWidths, ExponentialIsWithinTwoUnitsInTheLastPlace) {
  double worst = 0;
  for (float x = -87.0F; x <= 88.0F; x += 1.0F / 4096) {
    const double exact = std::exp(static_cast<double>(x));
    const auto nearest = static_cast<float>(exact);
    const double unit = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
    worst = std::max(worst, std::abs(static_cast<double>(exponential(x)) - exact) / unit);
  }
  EXPECT_LE(worst, 2.0);
}

TEST(VectorWidths, ExponentialEndsInZeroAndAFiniteNumberAndKeepsNan) {
  EXPECT_EQ(exponential(0.0F), 1.0F);
  EXPECT_EQ(exponential(-87.5F), 0.0F);
  EXPECT_EQ(exponential(-std::numeric_limits<float>::infinity()), 0.0F);
  EXPECT_EQ(exponential(1000.0F), exponential(88.0F));
  EXPECT_TRUE(std::isnan(exponential(std::nanf(""))));
}

}  // namespace
}  // namespace rvsweep
