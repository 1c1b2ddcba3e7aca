#include "rvsweep/model/kv_cache.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <cstring>
#include <limits>

#include "kernels/cpu/parallel.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {

KvCache KvCache::allocate(const ModelConfig& config, const Placement& placement, std::int64_t rows,
                          std::int64_t columns) {
  const auto options = at::TensorOptions().device(placement.device).dtype(placement.dtype);
  const std::vector<std::int64_t> shape{config.n_layers, rows, config.n_kv_heads, columns,
                                        config.head_dim};
  return {at::zeros(shape, options), at::zeros(shape, options)};
}

void write_cells(const at::Tensor& from, const at::Tensor& cells) {
  if (!from.is_cpu()) {
    cells.copy_(from.transpose(1, 2));
    return;
  }
  const auto B = from.size(0), T = from.size(1), heads = from.size(2), hd = from.size(3);
  RVSWEEP_EXPECT(from.stride(2) == hd && from.stride(3) == 1 && cells.stride(2) == hd &&
                     cells.stride(3) == 1 && from.scalar_type() == cells.scalar_type(),
                 "a head's numbers are neighbours");
  const auto item = static_cast<std::int64_t>(from.element_size());
  const auto* const source = static_cast<const std::byte*>(from.const_data_ptr());
  auto* const target = static_cast<std::byte*>(cells.data_ptr());
  constexpr std::int64_t rows_per_task = 16;
  at::parallel_for(0, B, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t head = 0; head < heads; ++head)
        for (std::int64_t t = 0; t < T; ++t)
          std::memcpy(target + item * (row * cells.stride(0) + head * cells.stride(1) + t * hd),
                      source + item * (row * from.stride(0) + t * from.stride(1) + head * hd),
                      static_cast<std::size_t>(hd * item));
  });
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
