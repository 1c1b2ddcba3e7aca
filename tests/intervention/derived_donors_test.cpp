#include "rvsweep/intervention/derived_donors.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t T = 8, derived_slot = 2;

/// Two prompts and the slot of one derived donor.
struct Donors {
  Transformer model = testing::tiny_transformer();
  ContextState state = ContextState::allocate(testing::tiny_config(), {}, {T, T, T}, T);
  Bundle bundle;
  MeanDonors means;

  /// Token i of `slot`: V is `size`, and so is the un-rotated key in dimension 0, which turns by
  /// one radian a position.
  void put(std::int64_t slot, std::int64_t n, std::int64_t i, double size) {
    const auto column = T - n + i;
    state.cache.v.select(1, slot).select(2, column).fill_(size);
    state.cache.k.select(1, slot).select(2, column).select(-1, 0).fill_(size * std::cos(i));
    state.cache.k.select(1, slot).select(2, column).select(-1, 6).fill_(size * std::sin(i));
  }
  void derive(const DerivedDonor& donor) {
    bundle.derived = {donor};
    derive_donors(model, bundle, 5, derived_slot, means, state);
  }
  double v(std::int64_t column) const {
    return state.cache.v[3][derived_slot][1][column][4].item<double>();
  }
  /// The key in a column of the derived donor is `size` turned by `position`.
  void expect_key(std::int64_t column, double size, double position) const {
    const at::Tensor key = state.cache.k[3][derived_slot][1][column];
    EXPECT_NEAR(key[0].item<double>(), size * std::cos(position), 1e-4) << "column " << column;
    EXPECT_NEAR(key[6].item<double>(), size * std::sin(position), 1e-4) << "column " << column;
  }
};

TEST(DerivedDonors, GaussianHasTheNormOfEveryHeadAndToken) {
  Donors donors;
  donors.state.cache.k.copy_(at::randn(donors.state.cache.k.sizes()) * 30);
  donors.state.cache.v.copy_(at::randn(donors.state.cache.v.sizes()) * 0.1);
  donors.derive({Derivation::gaussian, 0, 6, 0, "pair"});
  for (const at::Tensor& cache : {donors.state.cache.k, donors.state.cache.v}) {
    const at::Tensor donor = cache.select(1, 0).narrow(2, T - 6, 6);
    const at::Tensor drawn = cache.select(1, derived_slot).narrow(2, T - 6, 6);
    EXPECT_TRUE(at::allclose(drawn.norm(2, {-1}), donor.norm(2, {-1}), 1e-5));
    const at::Tensor cosine = (drawn * donor).sum(-1) / (drawn.norm(2, {-1}) * donor.norm(2, {-1}));
    EXPECT_LT(cosine.abs().mean().item<double>(), 0.5);  // other directions
  }
}

TEST(DerivedDonors, ShuffledMovesTokensAndTurnsTheirKeysToTheNewPosition) {
  Donors donors;
  constexpr std::int64_t m = 7, cached = 6;
  for (std::int64_t i = 0; i < m; ++i) donors.put(1, m, i, 10.0 + static_cast<double>(i));
  donors.derive({Derivation::shuffled, 1, m, cached, "pair"});
  std::set<double> sizes;
  bool moved = false;
  for (std::int64_t i = 0; i < m; ++i) {
    const double size = donors.v(T - m + i);
    sizes.insert(size);
    moved |= size != 10.0 + static_cast<double>(i);
    donors.expect_key(T - m + i, size, static_cast<double>(i));
  }
  EXPECT_EQ(sizes, (std::set<double>{10, 11, 12, 13, 14, 15, 16}));
  EXPECT_TRUE(moved);
  EXPECT_EQ(donors.v(T - m), 10.0);  // the first token stays
  EXPECT_EQ(donors.v(T - 1), 16.0);  // and so does the one that is not cached
}

TEST(DerivedDonors, TheLastRowStandsForAll) {
  Donors donors;
  constexpr std::int64_t m = 5, cached = 4;
  donors.state.sites.push_back({Site::v, 2, 6, at::randn({3, 6, 2, 16})});
  for (std::int64_t i = 0; i < m; ++i) donors.put(1, m, i, 10.0 + static_cast<double>(i));
  donors.derive({Derivation::last_row, 1, m, cached, "pair"});
  for (std::int64_t i = 0; i < cached; ++i) {
    EXPECT_EQ(donors.v(T - m + i), 13.0);
    donors.expect_key(T - m + i, 13.0, static_cast<double>(i));
  }
  EXPECT_EQ(donors.v(T - 1), 14.0);  // the one that is not cached
  const at::Tensor& rows = donors.state.sites[0].values;
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_TRUE(at::equal(rows[derived_slot][i], rows[1][5]));
}

TEST(DerivedDonors, MeanAveragesKeysWithoutTheirPositions) {
  Donors donors;
  constexpr std::int64_t n = 6, m = 4;
  for (std::int64_t i = 0; i < n; ++i) donors.put(0, n, i, 2.0 + static_cast<double>(i));
  for (std::int64_t i = 0; i < m; ++i) donors.put(1, m, i, 20.0 + static_cast<double>(i));
  add_to_mean(donors.model, donors.state.cache, {n, m}, m, donors.means[0]);
  donors.derive({Derivation::mean, -1, m, 0, ""});
  for (std::int64_t i = 0; i < m; ++i) {
    const double size = (4.0 + 20.0) / 2 + static_cast<double>(i);  // token 2 falls on token 0
    EXPECT_FLOAT_EQ(donors.v(T - m + i), size);
    donors.expect_key(T - m + i, size, static_cast<double>(i));
  }
}

}  // namespace
}  // namespace rvsweep
