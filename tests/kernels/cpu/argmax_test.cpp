#include "kernels/cpu/argmax.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

namespace rvsweep {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

TEST(LogitRows, LargestIsArgmax) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    for (const std::int64_t vocabulary : {1, 7, 1024, 1025, 49152}) {
      const at::Tensor logits = at::randn({9, vocabulary}).to(dtype);
      EXPECT_TRUE(at::equal(largest_logits(logits), logits.argmax(-1)));
      EXPECT_TRUE(
          at::equal(largest_logits(logits.narrow(0, 2, 3)), logits.narrow(0, 2, 3).argmax(-1)));
    }
}

TEST(LogitRows, TheFirstOfEqualsIsTheLargest) {
  at::Tensor logits = at::zeros({4, 5000});
  for (const std::int64_t place : {4321, 2047, 2048, 17}) logits[0][place] = 3;
  logits[1].narrow(0, 1023, 3000).fill_(-infinity);
  logits[2].fill_(-5);
  logits[2][4999] = infinity;
  logits[3].fill_(-infinity);
  EXPECT_TRUE(at::equal(largest_logits(logits), logits.argmax(-1)));
  EXPECT_EQ(largest_logits(logits)[0].item<std::int64_t>(), 17);
}

TEST(LogitRows, ARowWithoutFiniteNumbersGivesSomePlace) {
  const at::Tensor logits = at::zeros({1, 3000}).fill_(std::numeric_limits<float>::quiet_NaN());
  const auto place = largest_logits(logits)[0].item<std::int64_t>();
  EXPECT_TRUE(place >= 0 && place < 3000);
}

TEST(LogitRows, OneNumberMakesARowNotFinite) {
  at::Tensor logits = at::randn({6, 3001}) * 1e38;
  logits[1][3000] = infinity;
  logits[2][0] = -infinity;
  logits[3][1500] = std::numeric_limits<float>::quiet_NaN();
  logits[4].fill_(std::numeric_limits<float>::max());
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    EXPECT_TRUE(at::equal(finite_rows(logits.to(dtype)), logits.to(dtype).isfinite().all(-1)));
}

}  // namespace
}  // namespace rvsweep
