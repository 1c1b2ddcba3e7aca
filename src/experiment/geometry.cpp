#include "rvsweep/experiment/geometry.hpp"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "rvsweep/metrics/spectra.hpp"

namespace rvsweep {
namespace {

/// The windows' V at one layer: [windows, W, n_kv_heads*head_dim].
at::Tensor gather_windows(const at::Tensor& v, const std::vector<VWindow>& windows,
                          std::int64_t W) {
  std::vector<std::int64_t> rows, columns;
  for (const VWindow& window : windows) {
    rows.push_back(window.row);
    for (std::int64_t i = 0; i < W; ++i)
      columns.push_back(std::max<std::int64_t>(window.end - W + i, 0));
  }
  const auto n = std::ssize(windows);
  const at::Tensor row = at::tensor(rows, at::kLong).to(v.device()).view({n, 1});
  const at::Tensor column = at::tensor(columns, at::kLong).to(v.device()).view({n, W});
  const at::Tensor by_cell = v.transpose(1, 2);  // [rows, columns, nkv, hd]
  return by_cell.index({row, column}).view({n, W, -1});
}

}  // namespace

std::vector<double> window_spectra(const KvCache& cache, const std::vector<VWindow>& windows,
                                   std::int64_t W, const HasCells& has_cells) {
  const auto n_layers = cache.v.size(0);
  const std::size_t n = windows.size(), width = static_cast<std::size_t>(W);
  std::vector<double> spectra(n * n_layers * width, std::numeric_limits<double>::quiet_NaN());
  for (std::int64_t layer = 0; layer < n_layers; ++layer) {
    bool wanted = false;
    for (std::size_t i = 0; i < n; ++i) wanted |= has_cells(i, layer);
    if (!wanted) continue;
    const at::Tensor blocks = gather_windows(cache.v[layer], windows, W);
    const at::Tensor sigma = singular_values(blocks).to(at::kCPU).contiguous();  // [n, min(W, D)]
    const auto found = static_cast<std::size_t>(sigma.size(1));
    const double* values = sigma.const_data_ptr<double>();
    for (std::size_t i = 0; i < n; ++i) {
      if (!has_cells(i, layer)) continue;
      double* out = &spectra[(i * n_layers + layer) * width];
      std::copy_n(values + i * found, found, out);
      std::fill(out + found, out + width, 0.0);  // a block has no more than D singular values
    }
  }
  return spectra;
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
