#include "kernels/cpu/rms_norm.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

namespace rvsweep {
namespace {

constexpr double eps = 1e-5;
#ifdef __SANITIZE_ADDRESS__
constexpr double float_unit = 4e-6;  // sums take one number at a time
#else
constexpr double float_unit = 1e-6;
#endif

/// Hugging Face's LlamaRMSNorm, the mean square in float64 and rounded once.
at::Tensor expected(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor scale = ((wide * wide).mean(-1, /*keepdim=*/true) + eps).rsqrt();
  return (wide * scale).to(x.scalar_type()) * weight;
}

TEST(RmsNorm, IsHuggingFaces) {
  at::manual_seed(4);
  for (const std::int64_t hidden : {24, 64, 576, 4096})
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = (at::randn({3, 5, hidden}) * 20).to(dtype);
      const at::Tensor weight = at::randn({hidden}).to(dtype);
      const at::Tensor norm = rms_norm(x, weight, eps), correct = expected(x, weight);
      EXPECT_EQ(norm.scalar_type(), dtype);
      EXPECT_EQ(norm.sizes(), x.sizes());
      const at::Tensor error = (norm.to(at::kDouble) - correct.to(at::kDouble)).abs();
      const double unit = dtype == at::kFloat ? float_unit : 1.0 / 128;  // of the last place, about
      EXPECT_TRUE((error <= unit * (1e-3 + correct.to(at::kDouble).abs())).all().item<bool>());
      // In bfloat16 only sums that lie between two numbers may round otherwise.
      const double differing = (error > 0).to(at::kDouble).mean().item<double>();
      EXPECT_TRUE(dtype == at::kFloat || differing < 0.01) << differing;
    }
}

TEST(RmsNorm, ARowsBitsDependOnNothingButItself) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({40, 1, 60}).to(dtype), weight = at::randn({60}).to(dtype);
    const at::Tensor all = rms_norm(x, weight, eps);
    for (std::int64_t row = 0; row < x.size(0); ++row)
      EXPECT_TRUE(at::equal(rms_norm(x.narrow(0, row, 1), weight, eps), all.narrow(0, row, 1)));
  }
}

TEST(RmsNorm, NanStaysNan) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = at::randn({2, 33}).to(dtype);
    x[1][7] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor norm = rms_norm(x, at::randn({33}).to(dtype), eps);
    EXPECT_TRUE(norm[0].isfinite().all().item<bool>());
    EXPECT_TRUE(norm[1].isnan().all().item<bool>());
  }
}

}  // namespace
}  // namespace rvsweep
