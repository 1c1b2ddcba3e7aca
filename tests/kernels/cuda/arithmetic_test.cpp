#include "kernels/cuda/arithmetic.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/cpu/operations.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

/// Leaves the process as it found it where a test fails or not.
class Arithmetic : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* variable : {"NVIDIA_TF32_OVERRIDE", "PYTORCH_TUNABLEOP_ENABLED"})
      unsetenv(variable);
    context.setSDPUseCuDNN(true);
    context.setSDPUseMath(true);
  }
  at::Context& context = at::globalContext();
};

TEST_F(Arithmetic, SettingsFromOutsideAreOverridden) {
  context.setAllowTF32CuBLAS(true);  // as TORCH_ALLOW_TF32_CUBLAS_OVERRIDE does
  context.setAllowBF16ReductionCuBLAS(true);
  context.setAllowFP16ReductionCuBLAS(true);
  context.setAllowFP16AccumulationCuBLAS(true);
  cuda::set_arithmetic();
  EXPECT_FALSE(context.allowTF32CuBLAS());
  EXPECT_FALSE(context.allowTF32CuDNN());
  EXPECT_EQ(context.float32MatmulPrecision(), at::Float32MatmulPrecision::HIGHEST);
  for (const at::CuBLASReductionOption reduction :
       {context.allowBF16ReductionCuBLAS(), context.allowFP16ReductionCuBLAS()})
    EXPECT_NE(reduction, at::CuBLASReductionOption::AllowReducedPrecisionWithSplitK);
  EXPECT_FALSE(context.allowFP16AccumulationCuBLAS());
  EXPECT_EQ(context.blasPreferredBackend(), at::BlasBackend::Cublas);
}

TEST_F(Arithmetic, NeitherCudnnNorMathAttentionIsChosen) {
  cuda::set_arithmetic();
  EXPECT_FALSE(context.userEnabledCuDNNSDP());
  EXPECT_FALSE(context.userEnabledMathSDP());
  EXPECT_TRUE(context.userEnabledMemEfficientSDP());
}

TEST_F(Arithmetic, VariablesThatCublasObeysAreRefused) {
  for (const char* variable : {"NVIDIA_TF32_OVERRIDE", "PYTORCH_TUNABLEOP_ENABLED"}) {
    setenv(variable, "1", 1);
    EXPECT_TRUE(says(refusal_message([] { cuda::set_arithmetic(); }), {variable, "unset it"}));
    setenv(variable, "0", 1);
    cuda::set_arithmetic();
  }
}

TEST_F(Arithmetic, TheCpusBitsStay) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::manual_seed(5);
    const at::Tensor q = at::randn({2, 5, 4, 12}).to(dtype), keys = at::randn({2, 2, 9, 12});
    const CacheCells cells{keys.to(dtype), (keys * 2).to(dtype)};
    const Operations& ops = cpu_operations();
    const Visibility seen{.fed = 4, .rows = {{.first = 1}, {.first = 2, .compound = true}}};
    const auto attention = [&] {
      return ops.attention(
          q, cells, ops.attention_bias(seen, {.column = 4, .queries = 5}, 2, {at::kCPU, dtype}),
          {0.3});
    };
    const at::Tensor before = attention();
    cuda::set_arithmetic();
    EXPECT_TRUE(at::equal(attention(), before));
    context.setSDPUseMath(true);
  }
}

}  // namespace
}  // namespace rvsweep
