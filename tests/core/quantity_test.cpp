#include "rvsweep/core/quantity.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(Quantity, IsANumberTimesItsUnit) {
  EXPECT_EQ(parse_quantity("90s", time_units), 90);
  EXPECT_EQ(parse_quantity("1.5h", time_units), 5400);
  EXPECT_EQ(parse_quantity("2d", time_units), 172800);
  EXPECT_EQ(parse_quantity("512GB", byte_units), 512e9);
  EXPECT_EQ(parse_quantity("2e3", {{"", 1}}), 2000);
}

TEST(Quantity, WhatIsNoneIsRefused) {
  for (const char* text : {"", "s", "soon", "90", "90 s", "90S", "90sec", "0s", "-1s", "nans"})
    EXPECT_FALSE(parse_quantity(text, time_units).has_value()) << text;
}

}  // namespace
}  // namespace rvsweep
