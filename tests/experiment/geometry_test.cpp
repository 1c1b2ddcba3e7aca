#include "rvsweep/experiment/geometry.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "rvsweep/metrics/spectra.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t layers = 2, rows = 4, n_kv_heads = 2, columns = 10, head_dim = 8, W = 4;

KvCache random_cache() {
  const auto values = [] { return at::randn({layers, rows, n_kv_heads, columns, head_dim}); };
  return {values(), values()};
}

at::Tensor block_of(const KvCache& cache, std::int64_t layer, const Window& window) {
  return cache.v[layer][window.row].narrow(1, window.end - W, W).transpose(0, 1).flatten(1);
}

std::vector<double> sums_of(const at::Tensor& block) {
  const at::Tensor sums = centred_gram_sums(block);
  return {sums.const_data_ptr<double>(), sums.const_data_ptr<double>() + gram_sums};
}

std::vector<double> spectrum_of(const at::Tensor& block) {
  const at::Tensor sigma = singular_values(block).contiguous();
  return {sigma.const_data_ptr<double>(), sigma.const_data_ptr<double>() + W};
}

TEST(WindowSpectra, AreThoseOfEveryWindowAlsoWhereRowsShareCells) {
  const KvCache cache = random_cache();
  cache.v[0][2].copy_(cache.v[0][0]);
  cache.v[1][3].copy_(cache.v[1][1]);
  const std::vector<Window> windows{{0, 10}, {2, 10}, {1, 7}, {3, 7}, {0, 4}, {2, 9}, {0, 10}};
  const auto found =
      window_geometry(cache, windows, W, [](std::size_t, std::int64_t) { return true; });
  ASSERT_EQ(found.spectra.size(), windows.size() * layers * W);
  ASSERT_EQ(found.sums.size(), windows.size() * layers * gram_sums);
  for (std::size_t i = 0; i < windows.size(); ++i)
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      const auto item = i * layers + layer;
      const at::Tensor block = block_of(cache, layer, windows[i]);
      EXPECT_EQ(std::vector(&found.spectra[item * W], &found.spectra[item * W] + W),
                spectrum_of(block))
          << "window " << i << ", layer " << layer;
      const double* const sums = &found.sums[item * gram_sums];
      const auto expected = sums_of(block);
      for (int s = 0; s < gram_sums; ++s) EXPECT_NEAR(sums[s], expected[s], 1e-12 * expected[s]);
    }
}

TEST(WindowSpectra, AreNaNWhereCellsAreMissing) {
  const KvCache cache = random_cache();
  const std::vector<Window> windows{{0, 10}, {1, 2}, {2, 10}};
  const auto [found, sums] = window_geometry(
      cache, windows, W,
      [](std::size_t i, std::int64_t layer) { return i == 0 || (i == 2 && layer == 1); });
  for (std::size_t i = 0; i < windows.size(); ++i)
    for (std::int64_t layer = 0; layer < layers; ++layer)
      for (std::int64_t s = 0; s < W; ++s)
        EXPECT_EQ(std::isnan(found[(i * layers + layer) * W + s]),
                  i == 1 || (i == 2 && layer == 0));
}

}  // namespace
}  // namespace rvsweep
