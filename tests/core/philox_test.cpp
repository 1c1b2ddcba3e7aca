#include "rvsweep/core/philox.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

using Counter = std::array<std::uint32_t, 4>;

// The vectors that Random123 publishes for philox4x32-10 (kat_vectors).
TEST(Philox, GivesThePublishedVectors) {
  constexpr std::uint32_t all = 0xffffffff;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({all, all, all, all}, {all, all}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Values of a Python implementation of the same definition: key xxh3("seed\0pair hash\0sample"),
// counter = step, the first 53 bits of the output.
TEST(SamplingUniform, GivesTheValuesOfItsDefinition) {
  EXPECT_EQ(sampling_uniform(1, 0, 0, 0), 0x1.38e06f848574cp-1);
  EXPECT_EQ(sampling_uniform(std::numeric_limits<std::uint64_t>::max(), xxh3("pair-01"), 3, 49),
            0x1.82c76716503d8p-2);
  EXPECT_EQ(sampling_uniform(7, 42, 0, (std::int64_t{1} << 33) + 1), 0x1.5e8d6bda92acfp-1);
}

TEST(SamplingUniform, DiffersBySeedPairSampleAndStep) {
  std::set<double> seen;
  for (std::uint64_t seed : {1, 2})
    for (std::uint64_t pair : {10, 11})
      for (std::int32_t sample : {0, 1, 2})
        for (std::int64_t step : {0, 1, 2, 3})
          seen.insert(sampling_uniform(seed, pair, sample, step));
  EXPECT_EQ(seen.size(), 2u * 2u * 3u * 4u);
  // Digits do not run into the neighbouring field.
  EXPECT_NE(sampling_uniform(1, 23, 4, 0), sampling_uniform(12, 3, 4, 0));
  EXPECT_NE(sampling_uniform(1, 2, 34, 0), sampling_uniform(1, 23, 4, 0));
}

void expect_uniform(const char* varied, const std::function<double(int)>& draw) {
  constexpr int draws = 100000, cells = 20;
  double sum = 0, squares = 0, neighbours = 0, before = 0.5;
  std::vector<int> counts(cells);
  for (int i = 0; i < draws; ++i) {
    const double u = draw(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++counts[static_cast<int>(u * cells)];
    sum += u;
    squares += (u - 0.5) * (u - 0.5);
    neighbours += (u - 0.5) * (before - 0.5);
    before = u;
  }
  // Five standard errors each: sqrt(1/12/n), sqrt(1/180/n), 1/12/sqrt(n).
  EXPECT_NEAR(sum / draws, 0.5, 0.0046) << varied;
  EXPECT_NEAR(squares / draws, 1.0 / 12, 0.0012) << varied;
  EXPECT_NEAR(neighbours / draws, 0.0, 0.0014) << varied;
  for (const int count : counts) EXPECT_NEAR(count, draws / cells, 350) << varied;
}

TEST(SamplingUniform, IsUniformOverStepsSamplesPairsAndSeeds) {
  expect_uniform("steps", [](int i) { return sampling_uniform(1, 5, 0, i); });
  expect_uniform("samples", [](int i) { return sampling_uniform(1, 5, i, 0); });
  expect_uniform("pairs", [](int i) { return sampling_uniform(1, xxh3(std::to_string(i)), 0, 3); });
  expect_uniform("seeds", [](int i) { return sampling_uniform(i, 5, 0, 3); });
}

}  // namespace
}  // namespace rvsweep
