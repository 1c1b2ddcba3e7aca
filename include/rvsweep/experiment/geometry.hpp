#pragma once
// Singular spectra of windows of V, or of another site, of consecutive tokens.
#include <functional>
#include <vector>

#include "rvsweep/model/kv_cache.hpp"

namespace rvsweep {

/// Columns [end - W, end) of one row.
struct Window {
  std::int64_t row = 0;
  std::int64_t end = 0;
};

/// Whether window i is to be measured at a layer, where it must have W cells; else its
/// geometry is NaN.
using HasCells = std::function<bool(std::size_t window, std::int64_t layer)>;

/// Of every window at every layer, row-major; see metrics/spectra.hpp.
struct WindowGeometry {
  std::vector<double> spectra;  // [windows, n_layers, W] singular values
  std::vector<double> sums;     // [windows, n_layers, gram_sums]
};
/// `layers`: a site's values by layer, [rows, heads, columns, dim]; V as KvCache::v has it.
WindowGeometry window_geometry(const std::vector<at::Tensor>& layers,
                               const std::vector<Window>& windows, std::int64_t W,
                               const HasCells& has_cells);
WindowGeometry window_geometry(const KvCache& cache, const std::vector<Window>& windows,
                               std::int64_t W, const HasCells& has_cells);

/// PR of columns [first + t, first + t + W) for t = 0..steps-1, from the Gram matrix in float64, of
/// V of one layer [rows, n_kv_heads, columns, head_dim]: float32 [rows, steps] on the CPU.
at::Tensor sliding_participation_ratio(const at::Tensor& v, std::int64_t first, std::int64_t steps,
                                       std::int64_t W);

/// pr[late] / pr[early] of one window's spectra [n_layers, W].
double r_v_of(const double* spectra, std::int64_t W, std::int64_t early_layer,
              std::int64_t late_layer);

}  // namespace rvsweep
