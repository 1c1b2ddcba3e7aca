#include "kernels/aten_attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "rvsweep/core/attention_blocks.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::aten {
namespace {

using attention_blocks::float32_rows;
using attention_blocks::float32_scores;
using attention_blocks::windowed_queries;

/// q [B, T, nh, hd] -> [B, nkv, g*T, hd], so that K and V are read as they lie in the cache.
at::Tensor stack_groups(const at::Tensor& q, std::int64_t n_kv_heads) {
  const auto B = q.size(0), T = q.size(1), group = q.size(2) / n_kv_heads, hd = q.size(3);
  return q.view({B, T, n_kv_heads, group, hd})
      .permute({0, 2, 3, 1, 4})
      .reshape({B, n_kv_heads, group * T, hd});
}

/// The inverse of stack_groups: [B, nkv, g*T, hd] -> [B, T, nh, hd].
at::Tensor unstack_groups(const at::Tensor& z, std::int64_t T) {
  const auto B = z.size(0), n_kv_heads = z.size(1), group = z.size(2) / T, hd = z.size(3);
  return z.view({B, n_kv_heads, group, T, hd})
      .permute({0, 3, 1, 2, 4})
      .reshape({B, T, n_kv_heads * group, hd});
}

at::Tensor sdpa(const at::Tensor& q, const CacheCells& cells, const at::Tensor& mask,
                double scale) {
  return at::scaled_dot_product_attention(q, cells.keys, cells.values, mask, /*dropout_p=*/0.0,
                                          /*is_causal=*/false, scale);
}

/// 0 or -inf, [B, 1, T, C]. Rows of memory are padded: the memory-efficient kernel copies a mask
/// whose strides are not multiples of 8.
at::Tensor visible_mask(const Visibility& seen, const QueryColumns& queries,
                        const Placement& placement) {
  const auto C = queries.end(), B = std::ssize(seen.rows);
  const auto limits = seen.window == 0 ? 1 : queries.queries;  // of the queries of a row
  std::vector<std::int64_t> seen_cells;  // of a row: [first, end) beside each query's own column
  for (const RowVisibility& row : seen.rows) {
    for (std::int64_t t = 0; t < limits; ++t)
      seen_cells.push_back(first_seen(seen, row, queries.column + t));
    seen_cells.push_back(row.frozen ? seen.fed : C);
  }
  const at::Tensor on_device =
      at::tensor(seen_cells, at::kLong).to(placement.device).view({B, 1, limits + 1, 1});
  const at::Tensor first = on_device.narrow(2, 0, limits), end = on_device.narrow(2, limits, 1);
  const at::Tensor cell = at::arange(C, first.options());
  const at::Tensor own = cell.narrow(0, queries.column, queries.queries).unsqueeze(1);  // [T, 1]
  const at::Tensor outside = (cell < first).logical_or_(cell >= end);  // [B, 1, limits, C]
  const at::Tensor hidden = (cell != own).logical_and(outside).logical_or_(cell > own);
  const at::Tensor mask =
      at::zeros({B, 1, queries.queries, aligned(C)}, first.options().dtype(placement.dtype))
          .narrow(3, 0, C);
  return mask.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

/// ln n of the columns [0, fed) of compound rows, 0 of other rows: float32 [B, 1, T, 1] or, where a
/// window cuts copies off, [B, 1, T, fed].
at::Tensor ln_times_counted(const Visibility& seen, const QueryColumns& queries) {
  const auto columns = seen.window == 0 ? 1 : seen.fed;
  std::vector<float> ln_times;
  for (const RowVisibility& row : seen.rows)
    for (auto p = queries.column; p < queries.end(); ++p)
      for (std::int64_t c = 0; c < columns; ++c) {
        const bool is_seen = seen.window == 0 || c >= first_seen(seen, row, p);
        const auto times = is_seen ? times_seen(seen, row, p, c) : 1;
        ln_times.push_back(static_cast<float>(std::log(static_cast<double>(times))));
      }
  return at::tensor(ln_times, at::kFloat)
      .view({std::ssize(seen.rows), 1, queries.queries, columns});
}

/// The mask of causal attention for n queries whose own cells are [own, own + n) of C: [n, C], rows
/// of memory padded as in visible_mask.
at::Tensor causal_mask(std::int64_t own, std::int64_t n, std::int64_t C, std::int64_t window,
                       const at::TensorOptions& options) {
  const at::Tensor cell = at::arange(C, options.dtype(at::kLong));
  const at::Tensor owns = cell.narrow(0, own, n).unsqueeze(1);
  const at::Tensor hidden = cell > owns;
  if (window > 0) hidden.logical_or_(cell <= owns - window);
  return at::zeros({n, aligned(C)}, options)
      .narrow(1, 0, C)
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

/// Writes the attention of `rows` (int64) to z, scores and weights in float32.
void attend_in_float32(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                       const Scores& how, const at::Tensor& rows, const at::Tensor& z) {
  const auto T = q.size(1), nh = q.size(2), nkv = cells.keys.size(1), C = cells.keys.size(2);
  const auto at_once = std::max<std::int64_t>(float32_scores / (float32_rows * nh * C), 1);
  for (const at::Tensor& some : rows.split(float32_rows)) {
    const auto of = [&](const at::Tensor& x) { return x.index_select(0, some).to(at::kFloat); };
    const at::Tensor queries = of(q), keys = of(cells.keys).transpose(2, 3),
                     values = of(cells.values);
    const at::Tensor mask = bias.mask.defined() ? of(bias.mask) : at::Tensor();
    if (bias.ln_times.defined()) mask.narrow(3, 0, bias.fed).add_(of(bias.ln_times));
    for (std::int64_t t = 0; t < T; t += at_once) {
      const auto n = std::min(at_once, T - t);
      const at::Tensor scores =
          stack_groups(queries.narrow(1, t, n), nkv).matmul(keys).mul_(how.scale);
      if (how.soft_cap > 0) scores.div_(how.soft_cap).tanh_().mul_(how.soft_cap);
      scores.view({-1, nkv, nh / nkv, n, C})
          .add_(mask.defined() ? mask.narrow(2, t, n).unsqueeze(2)
                               : causal_mask(t, n, C, bias.window, scores.options()));
      const at::Tensor mixed = unstack_groups(scores.softmax(-1).matmul(values), n);
      z.narrow(1, t, n).index_copy_(0, some, mixed.to(z.scalar_type()));
    }
  }
}

/// SDPA of one query head of every KV head at a time, which read one mask: stacked, several queries
/// of a head would need it once for each head.
at::Tensor attention_by_head(const at::Tensor& q, const CacheCells& cells, const at::Tensor& mask,
                             double scale) {
  const auto B = q.size(0), T = q.size(1), nh = q.size(2), nkv = cells.keys.size(1);
  const auto hd = q.size(3), group = nh / nkv;
  at::Tensor z = at::empty({B, T, nh, hd}, q.options());
  const at::Tensor from = q.view({B, T, nkv, group, hd}), to = z.view({B, T, nkv, group, hd});
  for (std::int64_t head = 0; head < group; ++head)
    to.select(3, head).transpose(1, 2).copy_(
        sdpa(from.select(3, head).transpose(1, 2), cells, mask, scale));
  return z;
}

/// Causal attention of a block of queries at a time over the cells that it sees.
at::Tensor windowed_attention(const at::Tensor& q, const CacheCells& cells, double scale,
                              std::int64_t window) {
  const auto T = q.size(1);
  at::Tensor z = at::empty(q.sizes(), q.options());
  for (std::int64_t t = 0; t < T; t += windowed_queries) {
    const auto n = std::min(windowed_queries, T - t);
    const auto first = std::max<std::int64_t>(t - window + 1, 0), C = t + n - first;
    const at::Tensor mask = causal_mask(t - first, n, C, window, q.options());
    z.narrow(1, t, n).copy_(attention_by_head(
        q.narrow(1, t, n), {cells.keys.narrow(2, first, C), cells.values.narrow(2, first, C)},
        mask.unsqueeze(0).unsqueeze(0), scale));
  }
  return z;
}

}  // namespace

AttentionBias attention_bias(const Visibility& seen, const QueryColumns& queries, std::int64_t,
                             const Placement& placement) {
  if (seen.rows.empty()) return {.mask = {}, .window = seen.window};
  AttentionBias bias{.mask = visible_mask(seen, queries, placement), .fed = seen.fed};
  std::vector<std::int64_t> compound;
  for (std::int64_t r = 0; r < std::ssize(seen.rows); ++r)
    if (seen.rows[static_cast<std::size_t>(r)].compound) compound.push_back(r);
  if (compound.empty()) return bias;
  const at::Tensor ln_times = ln_times_counted(seen, queries).to(placement.device);
  if (placement.dtype == at::kFloat) {
    bias.mask.narrow(3, 0, seen.fed).add_(ln_times);
    return bias;
  }
  while (compound.size() % std::min<std::size_t>(float32_rows, seen.rows.size()) != 0)
    compound.push_back(compound.back());
  bias.compound_rows = at::tensor(compound, at::kLong).to(placement.device);
  bias.ln_times = ln_times;
  return bias;
}

at::Tensor stacked_attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& mask,
                             double scale) {
  return unstack_groups(sdpa(stack_groups(q, cells.keys.size(1)), cells, mask, scale), q.size(1));
}

at::Tensor float32_attention(const at::Tensor& q, const CacheCells& cells,
                             const AttentionBias& bias, const Scores& scores) {
  at::Tensor z = at::empty(q.sizes(), q.options());
  attend_in_float32(q, cells, bias, scores, at::arange(q.size(0), q.options().dtype(at::kLong)), z);
  return z;
}

at::Tensor causal_attention(const at::Tensor& q, const CacheCells& cells, double scale,
                            std::int64_t window) {
  const auto B = q.size(0), T = q.size(1), nh = q.size(2), hd = q.size(3);
  RVSWEEP_EXPECT(cells.keys.size(2) == T, "causal attention begins with the first cell");
  if (window > 0) return windowed_attention(q, cells, scale, window);
  const auto nkv = cells.keys.size(1);
  const auto of_heads = [&](const at::Tensor& x) {  // for every query head, [B, nh, T, hd]
    return x.unsqueeze(2).expand({B, nkv, nh / nkv, T, hd}).reshape({B, nh, T, hd});
  };
  return at::scaled_dot_product_attention(q.transpose(1, 2), of_heads(cells.keys),
                                          of_heads(cells.values), /*attn_mask=*/{},
                                          /*dropout_p=*/0.0, /*is_causal=*/true, scale)
      .transpose(1, 2);
}

at::Tensor attention(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                     const Scores& scores) {
  RVSWEEP_EXPECT(!bias.mask.defined() || bias.mask.scalar_type() == q.scalar_type(),
                 "fused attention on a GPU reads the mask in the queries' dtype");
  // No fused kernel takes a soft cap, or heads of such sizes.
  if (scores.soft_cap > 0 || q.size(3) * q.element_size() % 16 != 0)
    return float32_attention(q, cells, bias, scores);
  if (!bias.mask.defined()) return causal_attention(q, cells, scores.scale, bias.window);
  at::Tensor z = q.size(1) == 1 ? stacked_attention(q, cells, bias.mask, scores.scale)
                                : attention_by_head(q, cells, bias.mask, scores.scale);
  if (bias.compound_rows.defined())
    attend_in_float32(q, cells, bias, scores, bias.compound_rows, z);
  return z;
}

}  // namespace rvsweep::aten
