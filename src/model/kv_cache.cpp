#include "rvsweep/model/kv_cache.hpp"

#include <ATen/ops/zeros.h>

namespace rvsweep {

KvCache KvCache::allocate(const ModelConfig& config, const Placement& placement, std::int64_t rows,
                          std::int64_t columns) {
  const auto options = at::TensorOptions().device(placement.device).dtype(placement.dtype);
  const std::vector<std::int64_t> shape{config.n_layers, rows, config.n_kv_heads, columns,
                                        config.head_dim};
  return {at::zeros(shape, options), at::zeros(shape, options)};
}

KvCache KvCache::some_rows(std::int64_t first, std::int64_t n) const {
  return {k.narrow(1, first, n), v.narrow(1, first, n)};
}

KvCache KvCache::some_columns(std::int64_t first, std::int64_t n) const {
  return {k.narrow(3, first, n), v.narrow(3, first, n)};
}

CacheCells KvCache::cells(std::int64_t layer, std::int64_t columns) const {
  return {k[layer].narrow(2, 0, columns), v[layer].narrow(2, 0, columns)};
}

LayerVisibility causal_visibility(std::int64_t n_layers, const std::vector<std::int64_t>& lengths,
                                  std::int64_t columns) {
  Visibility seen{columns, {}};
  for (const std::int64_t length : lengths)
    seen.rows.push_back({static_cast<std::int32_t>(columns - length)});
  return {{std::move(seen)}, std::vector<std::size_t>(static_cast<std::size_t>(n_layers), 0)};
}

LayerVisibility causal_visibility(std::int64_t n_layers) {
  return {{Visibility{}}, std::vector<std::size_t>(static_cast<std::size_t>(n_layers), 0)};
}

}  // namespace rvsweep
