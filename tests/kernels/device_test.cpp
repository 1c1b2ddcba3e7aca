#include "rvsweep/kernels/device.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

TEST(Device, Float16NeedsAGpu) {
  EXPECT_EQ(resolve_dtype("float16", "cuda"), "float16");
  EXPECT_TRUE(says(refusal_message([] { resolve_dtype("float16", "cpu"); }),
                   {"run.dtype", "float16", "GPU", "bfloat16 or float32"}));
}

TEST(Device, AutoIsTheUsualFormatOfTheDevice) {
  EXPECT_EQ(resolve_dtype("auto", "cuda"), "bfloat16");
  EXPECT_EQ(resolve_dtype("auto", "cpu"), "float32");
  EXPECT_EQ(resolve_dtype("bfloat16", "cpu"), "bfloat16");
}

TEST(Device, APlacementHasTheFormatAskedFor) {
  EXPECT_EQ(place_rank("cpu", "float32", 3).dtype, at::kFloat);
  EXPECT_EQ(place_rank("cpu", "bfloat16", 3).dtype, at::kBFloat16);
  EXPECT_EQ(place_rank("cpu", "float16", 3).dtype, at::kHalf);
}

}  // namespace
}  // namespace rvsweep
