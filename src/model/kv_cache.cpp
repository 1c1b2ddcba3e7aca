#include "rvsweep/model/kv_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace rvsweep {

KvCache KvCache::allocate(const ModelConfig& config, const Placement& placement, std::int64_t rows,
                          std::int64_t columns) {
  const auto options = at::TensorOptions().device(placement.device).dtype(placement.dtype);
  const std::vector<std::int64_t> shape{config.n_layers, rows, config.n_kv_heads, columns,
                                        config.head_dim};
  return {at::zeros(shape, options), at::zeros(shape, options)};
}

AttentionBias causal_bias(const ModelConfig& config, const Placement& placement,
                          const std::vector<std::int64_t>& lengths, std::int64_t first_query_column,
                          std::int64_t columns) {
  const auto rows = static_cast<std::int64_t>(lengths.size());
  const at::Tensor key = at::arange(columns).view({1, 1, 1, columns});
  const at::Tensor query = at::arange(first_query_column, columns).view({1, 1, -1, 1});
  const at::Tensor first = (columns - at::tensor(lengths, at::kLong)).view({rows, 1, 1, 1});
  const at::Tensor seen = (key <= query) & ((key >= first) | (key == query));
  const at::Tensor bias =
      at::zeros(seen.sizes(), at::kFloat)
          .masked_fill_(seen.logical_not(), -std::numeric_limits<float>::infinity());
  return {{bias.to(placement.device)}, std::vector<std::size_t>(config.n_layers, 0)};
}

}  // namespace rvsweep
