#include "kernels/cpu/amx/product.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "kernels/tables.hpp"

namespace rvsweep {
namespace {

using testing::StoredMatrix;

StoredMatrix in_tiles(const at::Tensor& rows, const at::Tensor& bias = {}) {
  return testing::stored(rows, MatrixFormat::amx_tiles, bias);
}

/// Tests of what the processor may lack.
class AmxProduct : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_amx()) GTEST_SKIP() << "this processor has no AMX";
  }
};

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

TEST(AmxTiles, HoldPairsOfInputsOfSixteenOutputs) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor matrix = at::randn({96, 64}).to(dtype);
    const at::Tensor blocks = matrix.view({3, 2, 16, 2, 16, 2});  // outputs, then inputs
    const StoredMatrix tiles = in_tiles(matrix);
    EXPECT_TRUE(at::equal(tiles.matrix.data.view({3, 2, 2, 16, 16, 2}),
                          blocks.permute({0, 3, 1, 4, 2, 5})));
  }
}

TEST_F(AmxProduct, Float32IsMoreExactThanFloat32SummedOneByOne) {
  for (const at::ScalarType of_matrix : {at::kFloat, at::kBFloat16})
    for (const std::int64_t rows : {1, 6, 8, 16, 33, 300}) {
      const Operands o = random_operands(rows, 576, 96, at::kFloat, of_matrix);
      const double error = error_of(amx::product(o.x, in_tiles(o.matrix, o.bias).matrix), o);
      EXPECT_LT(error, 0.75 * error_of(one_by_one(o), o)) << of_matrix << " " << rows;
      EXPECT_LT(error, 3e-7);
    }
}

TEST_F(AmxProduct, Bfloat16IsRoundedOnce) {
  for (const std::int64_t rows : {1, 40}) {
    const Operands o = random_operands(rows, 320, 64, at::kBFloat16, at::kBFloat16);
    const at::Tensor exact =
        at::linear(o.x.to(at::kFloat), o.matrix.to(at::kFloat), o.bias.to(at::kFloat));
    const at::Tensor product = amx::product(o.x, in_tiles(o.matrix, o.bias).matrix);
    const at::Tensor error = (product.to(at::kFloat) - exact).abs() / (exact.abs() + 1e-2);
    EXPECT_LT(error.max().item<float>(), 1.001F / 256);  // half of bfloat16's last place
  }
}

TEST_F(AmxProduct, LargeAndSmallElementsKeepTheirDigits) {
  Operands o = random_operands(16, 64, 32, at::kFloat, at::kFloat);
  for (const double scale : {1e-12, 1e12}) {
    const Operands scaled{o.x * scale, o.matrix, o.bias * scale};
    EXPECT_LT(error_of(amx::product(scaled.x, in_tiles(o.matrix, scaled.bias).matrix), scaled),
              1e-6);
  }
}

TEST_F(AmxProduct, ARowDependsOnNothingElse) {
  for (const auto& [of_x, of_matrix] : formats) {
    const Operands o = random_operands(600, 96, 160, of_x, of_matrix);
    const StoredMatrix tiles = in_tiles(o.matrix, o.bias);
    const at::Tensor all = amx::product(o.x, tiles.matrix);
    for (const std::int64_t first : {0, 15, 16, 255, 256, 599})
      for (const std::int64_t rows : {1, 17, 64}) {
        if (first + rows > 600) continue;
        const at::Tensor part = amx::product(o.x.narrow(0, first, rows), tiles.matrix);
        const bool few = rows <= 16 && of_matrix == at::kFloat;
        const at::Tensor among = few ? amx::product(o.x.narrow(0, first / 8 * 8, 8), tiles.matrix)
                                           .narrow(0, first % 8, rows)
                                     : all.narrow(0, first, rows);
        EXPECT_TRUE(at::equal(part, among)) << first << " " << rows;
      }
  }
}

TEST_F(AmxProduct, ElementsOfSixteenBitsNeedNoThirdPart) {
  Operands o = random_operands(70, 320, 96, at::kFloat, at::kFloat);
  o.matrix = o.matrix.to(at::kHalf).to(at::kFloat);
  const at::Tensor product = amx::product(o.x, in_tiles(o.matrix, o.bias).matrix);
  EXPECT_LT(error_of(product, o), 3e-7);
  o.matrix[40][300] = 1.0 / 3;  // of 24 bits, so that outputs 32 to 63 have third parts
  const at::Tensor other = amx::product(o.x, in_tiles(o.matrix, o.bias).matrix);
  EXPECT_LT(error_of(other, o), 3e-7);
  EXPECT_TRUE(at::equal(product.narrow(1, 0, 40), other.narrow(1, 0, 40)));
  EXPECT_TRUE(at::equal(product.narrow(1, 41, 55), other.narrow(1, 41, 55)));
}

TEST_F(AmxProduct, NanStaysInItsRow) {
  const Operands o = random_operands(20, 64, 32, at::kFloat, at::kFloat);
  o.x.select(0, 3).fill_(std::numeric_limits<double>::quiet_NaN());
  const at::Tensor bad = amx::product(o.x, in_tiles(o.matrix, o.bias).matrix).isnan();
  EXPECT_TRUE(bad.select(0, 3).all().item<bool>());
  EXPECT_EQ(bad.sum().item<std::int64_t>(), 32);
}

}  // namespace
}  // namespace rvsweep
