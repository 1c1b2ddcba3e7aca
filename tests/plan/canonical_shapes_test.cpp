#include "rvsweep/plan/canonical_shapes.hpp"

#include <gtest/gtest.h>

#include "plan/known_models.hpp"

namespace rvsweep {
namespace {

TEST(CanonicalLength, IsTheTablesNextMultiple) {
  for (const auto& [n, padded] :
       std::initializer_list<std::pair<std::int64_t, std::int64_t>>{{1, 8},
                                                                    {8, 8},
                                                                    {9, 16},
                                                                    {17, 24},
                                                                    {40, 40},
                                                                    {128, 128},
                                                                    {129, 160},
                                                                    {160, 160},
                                                                    {161, 192},
                                                                    {512, 512},
                                                                    {513, 640},
                                                                    {640, 640},
                                                                    {641, 768},
                                                                    {8192, 8192},
                                                                    {8193, 10240},
                                                                    {1025, 1280}})
    EXPECT_EQ(canonical_length(n), padded) << n;
}

TEST(CanonicalRows, IsTheTablesNextEntry) {
  for (const auto& [n, padded] : std::initializer_list<std::pair<std::int64_t, std::int64_t>>{
           {1, 1},     {2, 8},     {8, 8},     {9, 16},    {17, 24},   {25, 32},     {32, 32},
           {33, 48},   {48, 48},   {49, 64},   {64, 64},   {65, 96},   {96, 96},     {97, 128},
           {128, 128}, {129, 192}, {193, 256}, {257, 384}, {385, 512}, {1024, 1024}, {1025, 1536}})
    EXPECT_EQ(canonical_rows(n), padded) << n;
}

TEST(PrefilledOnCpu, IsWholeGroupsOfEightWithAbout1280Tokens) {
  EXPECT_EQ(prefilled_on_cpu(8), 160);
  EXPECT_EQ(prefilled_on_cpu(40), 32);
  EXPECT_EQ(prefilled_on_cpu(64), 16);
  EXPECT_EQ(prefilled_on_cpu(128), 8);
  EXPECT_EQ(prefilled_on_cpu(8192), 8);
}

TEST(PaddedPrompts, AreThoseOfFewTokens) {
  EXPECT_EQ(padded_prompts(1, 40), 1);
  EXPECT_EQ(padded_prompts(2, 128), 8);
  EXPECT_EQ(padded_prompts(2, 160), 2);
  EXPECT_EQ(padded_prompts(9, 640), 9);
}

TEST(PaddedRows, OfLongPromptsAreNotPadded) {
  EXPECT_EQ(padded_rows(9, 512), 16);
  EXPECT_EQ(padded_rows(9, 640), 9);
}

TEST(MostLongRows, HoldFourGibibytesOrEight) {
  // 46,080 and 262,144 bytes a column in float32.
  EXPECT_EQ(most_long_rows(smollm2(), 1024), 91);
  EXPECT_EQ(most_long_rows(smollm2(), 8192), 11);
  EXPECT_EQ(most_long_rows(llama3_8b(), 8192), 8);
}

template <class Shape>
void expect_a_padding(Shape shape) {
  std::int64_t before = 0;
  for (std::int64_t n = 1; n <= 3000; ++n) {
    const std::int64_t padded = shape(n);
    ASSERT_GE(padded, n);
    ASSERT_GE(padded, before);
    ASSERT_EQ(shape(padded), padded);
    ASSERT_LE(padded, n + n / 2 + 16) << n;
    before = padded;
  }
}

TEST(CanonicalShapes, HoldWhatTheyPadAndGrowWithIt) {
  expect_a_padding(canonical_length);
  expect_a_padding(canonical_rows);
}

TEST(AutomaticBundleRows, DependsOnShapeDeviceAndDtypeAlone) {
  EXPECT_EQ(automatic_bundle_rows(smollm2(), "cpu", "float32"), 128);
  EXPECT_EQ(automatic_bundle_rows(smollm2(), "cuda", "bfloat16"), 256);
  // 131,072 KiB a row of 512 float32 cells: 32 of them fill 4 GiB, 64 rows of half the size as
  // well.
  EXPECT_EQ(automatic_bundle_rows(llama3_8b(), "cpu", "float32"), 32);
  EXPECT_EQ(automatic_bundle_rows(llama3_8b(), "cpu", "bfloat16"), 64);
  EXPECT_EQ(automatic_bundle_rows(llama3_8b(), "cuda", "bfloat16"), 256);
  EXPECT_EQ(automatic_bundle_rows(llama3_8b(), "cuda", "float32"), 256);
}

TEST(AutomaticBundleRows, IsNeverBelowEightAndAlwaysCanonical) {
  ModelConfig config = llama3_8b();
  for (config.n_layers = 1; config.n_layers <= 1024; config.n_layers *= 2)
    for (const char* device : {"cpu", "cuda"})
      for (const char* dtype : {"float32", "bfloat16"}) {
        const auto rows = automatic_bundle_rows(config, device, dtype);
        EXPECT_GE(rows, 8);
        EXPECT_EQ(canonical_rows(rows), rows);
      }
}

}  // namespace
}  // namespace rvsweep
