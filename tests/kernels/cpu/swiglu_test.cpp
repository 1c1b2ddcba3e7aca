#include "kernels/cpu/swiglu.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <gtest/gtest.h>

namespace rvsweep::cpu {
namespace {

at::Tensor together(const at::Tensor& gate, const at::Tensor& up) {
  return at::cat({gate, up}, -1);
}

TEST(SwiGlu, IsSiluTimesUp) {
  at::manual_seed(5);
  const at::Tensor gate = at::randn({7, 3, 100}) * 8, up = at::randn({7, 3, 100});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor result = swiglu(together(gate, up).to(dtype));
    EXPECT_EQ(result.scalar_type(), dtype);
    const at::Tensor g = gate.to(dtype).to(at::kDouble), u = up.to(dtype).to(at::kDouble);
    const at::Tensor exact = at::silu(g) * u;
    const at::Tensor error = (result.to(at::kDouble) - exact).abs() / exact.abs().clamp_min(1e-30);
    EXPECT_LT(error.max().item<double>(), dtype == at::kBFloat16 ? 1.01 / 128 : 1e-6);
  }
}

/// Every magnitude that a float32 can have, and none is lost.
TEST(SwiGlu, HoldsFarFromZero) {
  const at::Tensor gate = at::arange(-200, 200, 0.0625, at::kFloat);
  const at::Tensor result = swiglu(together(gate, at::ones_like(gate)));
  const at::Tensor exact = at::silu(gate.to(at::kDouble));
  const at::Tensor error = (result.to(at::kDouble) - exact).abs();
  EXPECT_TRUE((error <= 1e-6 * exact.abs() + 1e-35).all().item<bool>());
}

TEST(SwiGlu, NanStaysNan) {
  at::Tensor gate = at::randn({20});
  gate[4] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor bad = swiglu(together(gate, at::ones_like(gate))).isnan();
  EXPECT_TRUE(bad[4].item<bool>());
  EXPECT_EQ(bad.sum().item<std::int64_t>(), 1);
}

TEST(SwiGlu, ARowsBitsDependOnNothingButItself) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor in = at::randn({33, 2 * 75}).to(dtype);
    const at::Tensor all = swiglu(in);
    for (std::int64_t r = 0; r < 33; ++r) EXPECT_TRUE(at::equal(swiglu(in[r]), all[r]));
  }
}

}  // namespace
}  // namespace rvsweep::cpu
