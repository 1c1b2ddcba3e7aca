#pragma once
// Keys and values of a batch, and what a query may attend to.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/kernels/visibility.hpp"
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// A static cache. Prompts are right-aligned, so the last prompt token of every row lies in the
/// same column and the t-th fed token of every row is written to one column for all rows. Keys are
/// stored rotated; v is the output of v_proj (bias included, never rotated), head by head.
struct KvCache {
  at::Tensor k;  // [n_layers, rows, n_kv_heads, columns, head_dim]
  at::Tensor v;  // [n_layers, rows, n_kv_heads, columns, head_dim]

  static KvCache allocate(const ModelConfig& config, const Placement& placement, std::int64_t rows,
                          std::int64_t columns);
  std::int64_t rows() const { return k.size(1); }
  std::int64_t columns() const { return k.size(3); }
  /// Rows [first, first + n), a view.
  KvCache some_rows(std::int64_t first, std::int64_t n) const;
  /// Columns [first, first + n), a view.
  KvCache some_columns(std::int64_t first, std::int64_t n) const;
  /// Columns [0, columns) of one layer.
  CacheCells cells(std::int64_t layer, std::int64_t columns) const;
};

/// What the rows of a batch see, layer by layer; layers that see alike share one entry.
struct LayerVisibility {
  std::vector<Visibility> classes;
  std::vector<std::size_t> class_of_layer;  // [n_layers]
};

/// Causal attention over prompts of `lengths` tokens, right-aligned in columns [0, columns). A
/// padding column sees itself alone, so that no softmax is empty.
LayerVisibility causal_visibility(std::int64_t n_layers, const std::vector<std::int64_t>& lengths,
                                  std::int64_t columns);

/// The same of prompts that fill all columns: no mask is made for them.
LayerVisibility causal_visibility(std::int64_t n_layers);

}  // namespace rvsweep
