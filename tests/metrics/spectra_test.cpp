#include "rvsweep/metrics/spectra.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace rvsweep {
namespace {

using Numbers = std::vector<double>;

Numbers values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

/// I - 2 u u^T / |u|^2: orthogonal to rounding, and full.
at::Tensor reflection(std::int64_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Numbers entries(static_cast<std::size_t>(size));
  double norm = 0;
  for (double& entry : entries) {
    entry = normal(generator);
    norm += entry * entry;
  }
  const at::Tensor u = at::tensor(entries, at::kDouble);
  return at::eye(size, at::kDouble) - at::outer(u, u) * (2 / norm);
}

/// [W, D] with these W singular values, rows and columns well mixed.
at::Tensor block_of(const Numbers& sigma, std::int64_t D, unsigned seed = 1) {
  const auto W = static_cast<std::int64_t>(sigma.size());
  const at::Tensor wide =
      at::cat({at::diag(at::tensor(sigma, at::kDouble)), at::zeros({W, D - W}, at::kDouble)}, 1);
  return reflection(W, seed)
      .matmul(reflection(W, seed + 1))
      .matmul(wide)
      .matmul(reflection(D, seed + 2));
}

void expect_near(const Numbers& actual, const Numbers& expected, double relative,
                 double absolute = 0) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], relative * expected[i] + absolute) << "sigma " << i;
}

TEST(SingularValues, AreThoseTheBlockWasMadeOf) {
  const Numbers sigma{9, 5.5, 5.25, 1, 0.125};
  expect_near(values(singular_values(block_of(sigma, 12))), sigma, 1e-13);
}

// Down to a thousandth of the largest they come from the Gram matrix, below from the block.
TEST(SingularValues, AreRightOnBothSidesOfTheChange) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<double> exponent(-3, 0);
    Numbers sigma(16);
    for (double& s : sigma) s = 300 * std::pow(10, exponent(generator));
    sigma[0] = 300;
    sigma[15] = seed % 2 == 0 ? 0.301 : 0.299;
    std::ranges::sort(sigma, std::greater());
    expect_near(values(singular_values(block_of(sigma, 192, seed))), sigma, 1e-9);
  }
}

TEST(SingularValues, DependOnTheBlockAlone) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> entries(67 * 16 * 192);
  for (float& entry : entries) entry = normal(generator);
  const at::Tensor batch = at::tensor(entries).view({67, 16, 192});
  const at::Tensor together = singular_values(batch);
  for (const std::int64_t n : {1, 2, 5, 64})
    for (std::int64_t first = 0; first + n <= 67; first += n)
      EXPECT_TRUE(
          at::equal(singular_values(batch.narrow(0, first, n)), together.narrow(0, first, n)))
          << n << " from " << first;
}

TEST(SingularValues, OfAKnownMatrix) {
  // [[3, 0], [4, 5]] has A A^T with eigenvalues 45 and 5.
  expect_near(values(singular_values(at::tensor({3.0, 0.0, 4.0, 5.0}, at::kDouble).view({2, 2}))),
              {std::sqrt(45), std::sqrt(5)}, 1e-15);
}

// A Gram matrix in float64 would leave about 1e-8 of the largest in the tail.
TEST(SingularValues, KeepTheTail) {
  const Numbers sigma{1000, 1, 1e-3, 1e-6, 1e-8};
  expect_near(values(singular_values(block_of(sigma, 40))), sigma, 1e-4);
}

TEST(SingularValues, OfARankDeficientBlockEndInZeros) {
  const auto found = values(singular_values(block_of({4, 2, 0, 0}, 9)));
  expect_near(found, {4, 2, 0, 0}, 1e-13, 1e-14);
  expect_near(values(singular_values(at::ones({3, 4}, at::kDouble))), {std::sqrt(12), 0, 0}, 1e-14,
              1e-14);
  expect_near(values(singular_values(at::zeros({3, 4}, at::kDouble))), {0, 0, 0}, 0);
}

TEST(SingularValues, OfABlockWithMoreRowsThanColumnsAreAsManyAsColumns) {
  const Numbers sigma{7, 3, 2};
  expect_near(values(singular_values(block_of(sigma, 8).transpose(0, 1))), sigma, 1e-13);
}

TEST(SingularValues, AreOfEachBlockOfABatch) {
  const Numbers a{5, 4, 3}, b{8, 1, 0.5};
  const at::Tensor batch = at::stack({block_of(a, 6, 10), block_of(b, 6, 20)}).view({1, 2, 3, 6});
  const at::Tensor found = singular_values(batch);
  EXPECT_EQ(found.sizes(), (at::IntArrayRef{1, 2, 3}));
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  expect_near(values(found.select(1, 0)), a, 1e-13);
  expect_near(values(found.select(1, 1)), b, 1e-13);
}

TEST(SingularValues, TakeAnyFloatTypeAndComputeInDouble) {
  // Multiples of 1/4 below 64 are exact in every type.
  const at::Tensor block = (block_of({9, 5, 2, 1}, 8) * 4).round() / 4;
  const auto exact = values(singular_values(block));
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor found = singular_values(block.to(type));
    EXPECT_EQ(found.scalar_type(), at::kDouble);
    EXPECT_EQ(values(found), exact);
  }
}

TEST(SingularValues, AreNaNWhereABlockIsNotFiniteAndOnlyThere) {
  const Numbers sigma{5, 4, 3};
  for (const double odd : {std::nan(""), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    at::Tensor batch = at::stack({block_of(sigma, 6), block_of(sigma, 6), block_of(sigma, 6)});
    batch[1][2][4] = odd;
    const at::Tensor found = singular_values(batch);
    expect_near(values(found[0]), sigma, 1e-13);
    expect_near(values(found[2]), sigma, 1e-13);
    for (const double value : values(found[1])) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Metrics, OfEqualSingularValuesAreTheirNumber) {
  for (const double size : {1e-6, 1.0, 300.0}) {
    const Numbers sigma(16, size);
    EXPECT_NEAR(participation_ratio(sigma), 16, 1e-11);
    EXPECT_NEAR(effective_rank(sigma), 16, 1e-11);
    EXPECT_NEAR(spectral_entropy(sigma), std::log(16), 1e-12);
    EXPECT_NEAR(stable_rank(sigma), 16, 1e-11);
    EXPECT_NEAR(nuclear_ratio(sigma), 16, 1e-11);
  }
}

TEST(Metrics, OfARankOneBlockAreOne) {
  const Numbers sigma{3, 0, 0, 0};
  EXPECT_DOUBLE_EQ(participation_ratio(sigma), 1);
  EXPECT_DOUBLE_EQ(effective_rank(sigma), 1);
  EXPECT_DOUBLE_EQ(spectral_entropy(sigma), 0);
  EXPECT_DOUBLE_EQ(stable_rank(sigma), 1);
  EXPECT_DOUBLE_EQ(nuclear_ratio(sigma), 1);
}

TEST(Metrics, HaveTheirClosedForms) {
  // lambda = 9, 4, 1; sum 14, squares 98; sigma sums to 6.
  const Numbers sigma{3, 2, 1};
  EXPECT_NEAR(participation_ratio(sigma), 2.0, 1e-14);
  EXPECT_NEAR(stable_rank(sigma), 14.0 / 9, 1e-14);
  EXPECT_NEAR(nuclear_ratio(sigma), 36.0 / 14, 1e-14);
  // exp(-(1/2 ln 1/2 + 1/3 ln 1/3 + 1/6 ln 1/6)) = 2^(2/3) sqrt(3)
  EXPECT_NEAR(effective_rank(sigma), std::pow(2, 2.0 / 3) * std::sqrt(3), 1e-13);
  EXPECT_NEAR(spectral_entropy(sigma), std::log(14) - (9 * std::log(9) + 4 * std::log(4)) / 14,
              1e-14);
}

TEST(Metrics, DoNotDependOnScale) {
  const Numbers sigma{3, 2, 1, 1e-5};
  for (const double scale : {1e-30, 1e30}) {
    Numbers scaled = sigma;
    for (double& s : scaled) s *= scale;
    EXPECT_NEAR(participation_ratio(scaled), participation_ratio(sigma), 1e-12);
    EXPECT_NEAR(effective_rank(scaled), effective_rank(sigma), 1e-12);
    EXPECT_NEAR(spectral_entropy(scaled), spectral_entropy(sigma), 1e-12);
    EXPECT_NEAR(stable_rank(scaled), stable_rank(sigma), 1e-12);
    EXPECT_NEAR(nuclear_ratio(scaled), nuclear_ratio(sigma), 1e-12);
  }
}

TEST(Metrics, OfAnAllZeroOrNaNBlockAreNaN) {
  for (const double value : {0.0, std::nan("")}) {
    const Numbers sigma(4, value);
    EXPECT_TRUE(std::isnan(participation_ratio(sigma)));
    EXPECT_TRUE(std::isnan(effective_rank(sigma)));
    EXPECT_TRUE(std::isnan(spectral_entropy(sigma)));
    EXPECT_TRUE(std::isnan(stable_rank(sigma)));
    EXPECT_TRUE(std::isnan(nuclear_ratio(sigma)));
  }
}

// stable_rank, pr, exp(spectral_entropy), nuclear_ratio and rank are exp of the Renyi entropies of
// p of order infinity, 2, 1, 1/2 and 0, and these fall with their order.
TEST(Metrics, KeepTheirOrder) {
  std::mt19937 generator(5);
  std::uniform_real_distribution<double> uniform;
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 20000; ++trial) {
    Numbers sigma(1 + generator() % 32);
    const double spread = 12 * uniform(generator);
    std::size_t rank = 0;
    for (double& s : sigma) {
      s = generator() % 8 == 0 ? 0.0 : std::exp(spread * normal(generator));
      rank += s > 0;
    }
    if (rank == 0) continue;
    const Numbers ordered{1.0,
                          stable_rank(sigma),
                          participation_ratio(sigma),
                          std::exp(spectral_entropy(sigma)),
                          nuclear_ratio(sigma),
                          static_cast<double>(rank)};
    for (std::size_t i = 1; i < ordered.size(); ++i)
      ASSERT_LE(ordered[i - 1], ordered[i] * (1 + 1e-12)) << "metric " << i << ", trial " << trial;
    ASSERT_GE(effective_rank(sigma), 1 - 1e-12);
    ASSERT_LE(effective_rank(sigma), static_cast<double>(rank) * (1 + 1e-12));
  }
}

TEST(Metrics, OfRandomBlocksKeepTheirOrder) {
  std::mt19937 generator(6);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 50; ++trial) {
    Numbers entries(16 * 24);
    for (double& entry : entries) entry = normal(generator) + (trial % 5);
    const auto sigma = values(singular_values(at::tensor(entries, at::kDouble).view({16, 24})));
    EXPECT_LE(1.0, stable_rank(sigma));
    EXPECT_LE(stable_rank(sigma), participation_ratio(sigma));
    EXPECT_LE(participation_ratio(sigma), std::exp(spectral_entropy(sigma)));
    EXPECT_LE(std::exp(spectral_entropy(sigma)), nuclear_ratio(sigma));
    EXPECT_LE(nuclear_ratio(sigma), 16.0);
  }
}

/// Rows of a block as vectors: mean 0 but for `shift`.
at::Tensor random_block(unsigned seed, std::int64_t W, std::int64_t D, double shift) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Numbers entries(static_cast<std::size_t>(W * D));
  for (double& entry : entries) entry = normal(generator) + shift;
  return at::tensor(entries, at::kDouble).view({W, D});
}

Numbers sums_of(const at::Tensor& block) { return values(centred_gram_sums(block)); }

TEST(CentredGramSums, AreThoseOfTheRowsLessTheirMean) {
  // Rows (1, 2) and (3, 8): less their mean (-1, -3) and (1, 3), Gram matrix 10 [[1, -1], [-1, 1]].
  expect_near(sums_of(at::tensor({1.0, 2.0, 3.0, 8.0}, at::kDouble).view({2, 2})), {20, 400, 200},
              1e-14);
}

TEST(CentredParticipationRatio, IsPrOfTheBlockLessItsMeanWhateverThatIs) {
  const at::Tensor block = random_block(3, 16, 40, 0);
  const auto sigma = values(singular_values(block - block.mean({0}, true)));
  const double pr = participation_ratio(sigma);
  for (const double shift : {0.0, 5.0, -300.0})
    EXPECT_NEAR(centred_participation_ratio(sums_of(block + shift)), pr, 1e-9 * pr) << shift;
}

// Its definition: means over all rows i, j, k, l that are distinct.
TEST(CorrectedParticipationRatio, IsTheRatioOfUnbiasedEstimates) {
  constexpr std::int64_t W = 6, D = 9;
  const at::Tensor block = random_block(5, W, D, 2);
  double of_square = 0, of_squares = 0;
  for (int i = 0; i < W; ++i)
    for (int j = 0; j < W; ++j)
      for (int k = 0; k < W; ++k)
        for (int l = 0; l < W; ++l) {
          if (std::set{i, j, k, l}.size() < 4) continue;
          const at::Tensor a = block[i] - block[j], b = block[k] - block[l];
          of_square += a.square().sum().item<double>() * b.square().sum().item<double>() / 4;
          of_squares += std::pow(a.dot(b).item<double>(), 2) / 4;
        }
  EXPECT_NEAR(corrected_participation_ratio(sums_of(block), W), of_square / of_squares, 1e-9);
}

TEST(CorrectedParticipationRatio, IsNaNWhereItCannotBeEstimated) {
  EXPECT_TRUE(std::isnan(corrected_participation_ratio(sums_of(random_block(5, 3, 9, 0)), 3)));
  EXPECT_TRUE(std::isnan(corrected_participation_ratio(sums_of(at::ones({8, 4})), 8)));
  EXPECT_FALSE(std::isnan(corrected_participation_ratio(sums_of(random_block(5, 4, 9, 0)), 4)));
}

// Windows of 16 rows from two populations whose participation ratios are as 1 to 2, with a mean.
TEST(CorrectedParticipationRatio, RecoversARatioThatFewRowsHide) {
  constexpr std::int64_t draws = 500, W = 16, D = 64;
  const auto of_population = [](unsigned seed, double decay, double& truth) {
    Numbers lambda;
    for (int i = 0; i < D; ++i) lambda.push_back(std::exp(-i / decay));
    const at::Tensor scale = at::tensor(lambda, at::kDouble);
    const double trace = scale.sum().item<double>();
    truth = trace * trace / scale.square().sum().item<double>();
    return random_block(seed, draws * W, D, 0).view({draws, W, D}) * scale.sqrt() + 1;
  };
  double late = 0, early = 0, raw = 0, centred = 0, corrected = 0;
  const at::Tensor of_late = of_population(1, 6, late), of_early = of_population(2, 12, early);
  const auto pr_of = [](const at::Tensor& block, double(&found)[3]) {
    const auto sums = sums_of(block);
    found[0] = participation_ratio(values(singular_values(block)));
    found[1] = centred_participation_ratio(sums);
    found[2] = corrected_participation_ratio(sums, W);
  };
  for (std::int64_t draw = 0; draw < draws; ++draw) {
    double a[3], b[3];
    pr_of(of_late[draw], a);
    pr_of(of_early[draw], b);
    raw += a[0] / b[0] / draws;
    centred += a[1] / b[1] / draws;
    corrected += a[2] / b[2] / draws;
  }
  const double truth = late / early;
  std::printf("true R_V %.3f: raw %.3f, centred %.3f, corrected %.3f\n", truth, raw, centred,
              corrected);
  EXPECT_NEAR(corrected, truth, 0.04);
  EXPECT_GT(centred, truth + 0.15);
  EXPECT_GT(raw, truth + 0.15);
}

}  // namespace
}  // namespace rvsweep
