#include "kernels/cpu/amx/product.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "kernels/cpu/amx/in_tiles.hpp"
#include "kernels/cpu/swiglu.hpp"

namespace rvsweep {
namespace {

using testing::in_tiles;

/// Of x and of the matrix.
constexpr std::pair<at::ScalarType, at::ScalarType> formats[] = {
    {at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}, {at::kBFloat16, at::kBFloat16}};

struct Operands {
  at::Tensor x, matrix, bias;
};
Operands random_operands(std::int64_t rows, std::int64_t in, std::int64_t out, at::ScalarType of_x,
                         at::ScalarType of_matrix) {
  at::manual_seed(3);
  return {at::randn({rows, in}).to(of_x), at::randn({out, in}).to(of_matrix),
          at::randn({out}).to(of_x)};
}

/// Root mean square of what differs from the product in float64, as a share of that product's.
double error_of(const at::Tensor& product, const Operands& o) {
  const at::Tensor exact =
      at::linear(o.x.to(at::kDouble), o.matrix.to(at::kDouble), o.bias.to(at::kDouble));
  const at::Tensor difference = product.to(at::kDouble) - exact;
  return std::sqrt((difference.square().mean() / exact.square().mean()).item<double>());
}

/// The product in float32, one input after another.
at::Tensor one_by_one(const Operands& o) {
  const at::Tensor matrix = o.matrix.to(at::kFloat);
  at::Tensor sum = o.bias.to(at::kFloat);
  for (std::int64_t i = 0; i < o.x.size(1); ++i)
    sum = sum + o.x.narrow(1, i, 1).to(at::kFloat) * matrix.select(1, i);
  return sum;
}

TEST(AmxProduct, TilesHoldPairsOfInputsOfSixteenOutputs) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor matrix = at::randn({96, 64}).to(dtype);
    const at::Tensor blocks = matrix.view({3, 2, 16, 2, 16, 2});  // outputs, then inputs
    EXPECT_TRUE(at::equal(in_tiles(matrix), blocks.permute({0, 3, 1, 4, 2, 5})));
  }
}

TEST(AmxProduct, Float32IsMoreExactThanFloat32SummedOneByOne) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const at::ScalarType of_matrix : {at::kFloat, at::kBFloat16})
    for (const std::int64_t rows : {1, 6, 8, 16, 33, 300}) {
      const Operands o = random_operands(rows, 576, 96, at::kFloat, of_matrix);
      const double error = error_of(amx_product(o.x, in_tiles(o.matrix), o.bias), o);
      EXPECT_LT(error, 0.75 * error_of(one_by_one(o), o)) << of_matrix << " " << rows;
      EXPECT_LT(error, 3e-7);
    }
}

TEST(AmxProduct, Bfloat16IsRoundedOnce) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const std::int64_t rows : {1, 40}) {
    const Operands o = random_operands(rows, 320, 64, at::kBFloat16, at::kBFloat16);
    const at::Tensor exact =
        at::linear(o.x.to(at::kFloat), o.matrix.to(at::kFloat), o.bias.to(at::kFloat));
    const at::Tensor product = amx_product(o.x, in_tiles(o.matrix), o.bias);
    const at::Tensor error = (product.to(at::kFloat) - exact).abs() / (exact.abs() + 1e-2);
    EXPECT_LT(error.max().item<float>(), 1.001F / 256);  // half of bfloat16's last place
  }
}

TEST(AmxProduct, LargeAndSmallNumbersKeepTheirPlaces) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  Operands o = random_operands(16, 64, 32, at::kFloat, at::kFloat);
  for (const double scale : {1e-12, 1e12}) {
    const Operands scaled{o.x * scale, o.matrix, o.bias * scale};
    EXPECT_LT(error_of(amx_product(scaled.x, in_tiles(o.matrix), scaled.bias), scaled), 1e-6);
  }
}

TEST(AmxProduct, ARowDependsOnNothingElse) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const auto& [of_x, of_matrix] : formats) {
    const Operands o = random_operands(600, 96, 160, of_x, of_matrix);
    const at::Tensor tiles = in_tiles(o.matrix);
    const at::Tensor all = amx_product(o.x, tiles, o.bias);
    for (const std::int64_t first : {0, 15, 16, 255, 256, 599})
      for (const std::int64_t rows : {1, 17, 64}) {
        if (first + rows > 600) continue;
        const at::Tensor part = amx_product(o.x.narrow(0, first, rows), tiles, o.bias);
        const bool few = rows <= 16 && of_matrix == at::kFloat;
        const at::Tensor among = few ? amx_product(o.x.narrow(0, first / 8 * 8, 8), tiles, o.bias)
                                           .narrow(0, first % 8, rows)
                                     : all.narrow(0, first, rows);
        EXPECT_TRUE(at::equal(part, among)) << first << " " << rows;
      }
  }
}

TEST(AmxProduct, NumbersOfSixteenBitsNeedNoThirdTerm) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  Operands o = random_operands(70, 320, 96, at::kFloat, at::kFloat);
  o.matrix = o.matrix.to(at::kHalf).to(at::kFloat);
  const at::Tensor product = amx_product(o.x, in_tiles(o.matrix), o.bias);
  EXPECT_LT(error_of(product, o), 3e-7);
  o.matrix[40][300] = 1.0 / 3;  // of 24 bits, so that outputs 32 to 63 have third terms
  const at::Tensor other = amx_product(o.x, in_tiles(o.matrix), o.bias);
  EXPECT_LT(error_of(other, o), 3e-7);
  EXPECT_TRUE(at::equal(product.narrow(1, 0, 40), other.narrow(1, 0, 40)));
  EXPECT_TRUE(at::equal(product.narrow(1, 41, 55), other.narrow(1, 41, 55)));
}

TEST(AmxProduct, GatedIsSwigluOfTheProduct) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const auto& [of_x, of_matrix] : formats)
    for (const std::int64_t rows : {1, 17, 40, 600}) {
      const Operands o = random_operands(rows, 96, 2 * 160, of_x, of_matrix);
      const at::Tensor tiles = in_tiles(o.matrix), gated = amx_gated_product(o.x, tiles);
      const at::Tensor expected = swiglu(amx_product(o.x, tiles));
      const double last_place = of_x == at::kFloat ? 1e-6 : 1.0 / 128;
      EXPECT_TRUE(at::allclose(gated, expected, last_place, 1e-30)) << of_x << " " << rows;
    }
}

TEST(AmxProduct, AddedHasTheBitsOfAnAdditionAfterIt) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const auto& [of_x, of_matrix] : formats)
    for (const std::int64_t rows : {1, 17, 300}) {
      const Operands o = random_operands(rows, 96, 160, of_x, of_matrix);
      const at::Tensor tiles = in_tiles(o.matrix), sum = at::randn({rows, 160}).to(of_x);
      for (const at::Tensor& bias : {o.bias, at::Tensor()}) {
        const at::Tensor expected = sum + amx_product(o.x, tiles, bias);
        amx_add_product(o.x, tiles, bias, sum);
        EXPECT_TRUE(at::equal(sum, expected)) << of_x << " " << of_matrix << " " << rows;
      }
    }
}

TEST(AmxProduct, LargestIsThatOfTheProduct) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  for (const auto& [of_x, of_matrix] : formats)
    for (const std::int64_t rows : {1, 17, 300}) {
      const Operands o = random_operands(rows, 96, 1600, of_x, of_matrix);
      o.matrix.narrow(0, 900, 700).copy_(o.matrix.narrow(0, 0, 700));  // equals
      o.matrix.narrow(0, 16, 8).copy_(o.matrix.narrow(0, 0, 8));
      if (rows > 1) {
        o.x[rows / 2][5] = std::numeric_limits<double>::quiet_NaN();
        o.x[rows - 2][5] = std::numeric_limits<double>::infinity();
      }
      const at::Tensor tiles = in_tiles(o.matrix), product = amx_product(o.x, tiles);
      const LargestLogits found = amx_largest(o.x, tiles);
      EXPECT_TRUE(at::equal(found.finite, finite_rows(product)));
      EXPECT_EQ(found.finite.sum().item<std::int64_t>(), rows > 1 ? rows - 2 : 1);
      EXPECT_TRUE(at::equal(found.place.masked_select(found.finite),
                            product.argmax(-1).masked_select(found.finite)));
      EXPECT_TRUE((found.place >= 0).logical_and(found.place < 1600).all().item<bool>());
    }
}

TEST(AmxProduct, NanStaysInItsRow) {
  if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  const Operands o = random_operands(20, 64, 32, at::kFloat, at::kFloat);
  o.x.select(0, 3).fill_(std::numeric_limits<double>::quiet_NaN());
  const at::Tensor bad = amx_product(o.x, in_tiles(o.matrix), o.bias).isnan();
  EXPECT_TRUE(bad.select(0, 3).all().item<bool>());
  EXPECT_EQ(bad.sum().item<std::int64_t>(), 32);
}

}  // namespace
}  // namespace rvsweep
