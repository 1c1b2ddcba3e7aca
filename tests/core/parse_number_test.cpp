#include "rvsweep/core/parse_number.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace rvsweep {
namespace {

TEST(ParseNumber, TakesWholeNumbersToTheLimitsOfTheirType) {
  EXPECT_EQ(parse_number<int>("0"), 0);
  EXPECT_EQ(parse_number<int>("-2147483648"), INT32_MIN);
  EXPECT_EQ(parse_number<std::int64_t>("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse_number<int>("007"), 7);
  EXPECT_EQ(parse_number<unsigned>("fF", 16), 255u);
}

TEST(ParseNumber, TakesReals) {
  EXPECT_EQ(parse_number<double>("0.25"), 0.25);
  EXPECT_EQ(parse_number<double>("-1e-3"), -1e-3);
  EXPECT_EQ(parse_number<double>("50"), 50.0);
  EXPECT_TRUE(std::isnan(parse_number<double>("nan").value()));
}

TEST(ParseNumber, RefusesWhatIsMoreOrLessThanANumber) {
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "1.5", "0x1", "2147483648", "-", "one"})
    EXPECT_EQ(parse_number<int>(text), std::nullopt) << text;
  for (const char* text : {"", " 1", "1%", "1,5", "+1", "1e999"})
    EXPECT_EQ(parse_number<double>(text), std::nullopt) << text;
  EXPECT_EQ(parse_number<unsigned>("-1"), std::nullopt);
  EXPECT_EQ(parse_number<unsigned>("4g", 16), std::nullopt);
}

}  // namespace
}  // namespace rvsweep
