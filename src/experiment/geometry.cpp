#include "rvsweep/experiment/geometry.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "rvsweep/kernels/device.hpp"
#include "rvsweep/metrics/spectra.hpp"

namespace rvsweep {
namespace {

/// Where the windows' cells lie in any layer's values [rows, heads, columns, dim], as rows of dim
/// elements: int64 [windows * W * heads] on their device.
at::Tensor cells_of(const at::Tensor& v, const std::vector<Window>& windows, std::int64_t W) {
  const auto heads = v.size(1), columns = v.size(2);
  std::vector<std::int64_t> cells;
  cells.reserve(windows.size() * static_cast<std::size_t>(W * heads));
  for (const auto& [row, end] : windows)
    for (std::int64_t column = end - W; column < end; ++column)
      for (std::int64_t head = 0; head < heads; ++head)
        cells.push_back((row * heads + head) * columns + std::max<std::int64_t>(column, 0));
  return at::tensor(cells, at::kLong).to(v.device());
}

/// The distinct ones of a layer's blocks [windows, W, D]: rows share their prompts' V up to the
/// first patched layer, and equal blocks have equal spectra.
struct DistinctBlocks {
  at::Tensor blocks;                  // those that no earlier one equals bit for bit
  std::vector<std::size_t> index_of;  // of every window's block among them
};

DistinctBlocks distinct_blocks(const at::Tensor& blocks) {
  const auto n = static_cast<std::size_t>(blocks.size(0)), bytes = blocks.nbytes() / n;
  DistinctBlocks distinct{blocks, {}};
  if (!is_on_host(blocks)) {  // comparing would take longer there
    distinct.index_of.resize(n);
    std::iota(distinct.index_of.begin(), distinct.index_of.end(), std::size_t{0});
    return distinct;
  }
  std::vector<std::int64_t> kept;
  const auto* const begin = static_cast<const char*>(blocks.const_data_ptr());
  std::unordered_map<std::string_view, std::size_t> known;
  for (std::size_t i = 0; i < n; ++i) {
    const auto [found, is_new] =
        known.emplace(std::string_view(begin + i * bytes, bytes), kept.size());
    if (is_new) kept.push_back(static_cast<std::int64_t>(i));
    distinct.index_of.push_back(found->second);
  }
  if (kept.size() < n) distinct.blocks = blocks.index_select(0, at::tensor(kept, at::kLong));
  return distinct;
}

}  // namespace

WindowGeometry window_geometry(const KvCache& cache, const std::vector<Window>& windows,
                               std::int64_t W, const HasCells& has_cells) {
  return window_geometry(cache.v.unbind(), windows, W, has_cells);
}

WindowGeometry window_geometry(const std::vector<at::Tensor>& layers,
                               const std::vector<Window>& windows, std::int64_t W,
                               const HasCells& has_cells) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto n_layers = std::ssize(layers);
  const std::size_t n = windows.size(), width = static_cast<std::size_t>(W);
  WindowGeometry result{std::vector<double>(n * n_layers * width, nan),
                        std::vector<double>(n * n_layers * gram_sums, nan)};
  const at::Tensor cells = cells_of(layers.front(), windows, W);
  std::vector<at::Tensor> sums;  // [distinct, gram_sums] of the layers read
  std::vector<std::pair<std::size_t, std::size_t>>
      places;  // of them all: a window's and its item's
  std::size_t n_sums = 0;
  for (std::int64_t layer = 0; layer < n_layers; ++layer) {
    bool wanted = false;
    for (std::size_t i = 0; i < n; ++i) wanted |= has_cells(i, layer);
    if (!wanted) continue;
    const at::Tensor& v = layers[static_cast<std::size_t>(layer)];
    const auto [blocks, index_of] = distinct_blocks(
        v.reshape({-1, v.size(3)}).index_select(0, cells).view({std::ssize(windows), W, -1}));
    const at::Tensor sigma = singular_values(blocks).contiguous();  // [distinct, min(W, D)]
    sums.push_back(centred_gram_sums(blocks));
    const auto found = static_cast<std::size_t>(sigma.size(1));
    for (std::size_t i = 0; i < n; ++i) {
      if (!has_cells(i, layer)) continue;
      const std::size_t item = i * n_layers + layer;
      double* out = &result.spectra[item * width];
      std::copy_n(sigma.const_data_ptr<double>() + index_of[i] * found, found, out);
      std::fill(out + found, out + width, 0.0);  // a block has no more than D singular values
      places.push_back({n_sums + index_of[i], item});
    }
    n_sums += static_cast<std::size_t>(blocks.size(0));
  }
  if (sums.empty()) return result;
  const at::Tensor all = at::cat(sums).cpu();  // one wait for every layer
  for (const auto& [place, item] : places)
    std::copy_n(all.const_data_ptr<double>() + place * gram_sums, gram_sums,
                &result.sums[item * gram_sums]);
  return result;
}

at::Tensor sliding_participation_ratio(const at::Tensor& v, std::int64_t first, std::int64_t steps,
                                       std::int64_t W) {
  const at::Tensor rows =
      v.narrow(2, first, steps + W - 1).transpose(1, 2).flatten(2).to(at::kDouble);
  const at::Tensor gram = rows.matmul(rows.transpose(1, 2));  // [rows, columns, columns]
  const at::Tensor norms = gram.diagonal(0, 1, 2), squares = gram.square();
  std::vector<at::Tensor> by_step;
  for (std::int64_t t = 0; t < steps; ++t) {
    const at::Tensor trace = norms.narrow(1, t, W).sum(-1);
    by_step.push_back(trace.square() / squares.narrow(1, t, W).narrow(2, t, W).sum({1, 2}));
  }
  return at::stack(by_step, 1).to(at::kCPU, at::kFloat).contiguous();
}

double r_v_of(const double* spectra, std::int64_t W, std::int64_t early_layer,
              std::int64_t late_layer) {
  const auto width = static_cast<std::size_t>(W);
  const double late = participation_ratio({spectra + late_layer * W, width});
  return late / participation_ratio({spectra + early_layer * W, width});
}

}  // namespace rvsweep
