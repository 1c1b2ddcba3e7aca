#pragma once
// Keys and values of a batch, and what a query may attend to.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rvsweep/kernels/device.hpp"
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
};

/// Copies what a layer makes of some tokens, from [rows, tokens, n_kv_heads, head_dim], to their
/// cells [rows, n_kv_heads, tokens, head_dim], heads of neighbouring numbers in both. On a CPU by
/// our own loop: libtorch's copy of such strides takes several times as long.
void write_cells(const at::Tensor& from, const at::Tensor& cells);

/// Additive attention bias per layer, float32: 0 where a cell is seen, -inf where not, ln t where
/// it counts t times. Layers that see the same cells share one tensor.
struct AttentionBias {
  std::vector<at::Tensor> classes;          // [rows, 1, queries, columns] each
  std::vector<std::size_t> class_of_layer;  // [n_layers]
};

/// Causal attention over right-aligned prompts of `lengths` tokens: columns [columns - length,
/// ...). A padding column sees itself alone, so that no softmax is empty.
AttentionBias causal_bias(const ModelConfig& config, const Placement& placement,
                          const std::vector<std::int64_t>& lengths, std::int64_t first_query_column,
                          std::int64_t columns);

}  // namespace rvsweep
