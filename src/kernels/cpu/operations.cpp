#include "kernels/cpu/operations.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/aten_attention.hpp"
#include "kernels/cpu/activation.hpp"
#include "kernels/cpu/argmax.hpp"
#include "kernels/cpu/decode_attention.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/rms_norm.hpp"
#include "kernels/cpu/rotate.hpp"
#include "kernels/cpu/swiglu.hpp"
#include "kernels/cpu/write_cells.hpp"

namespace rvsweep {
namespace {

void rotate_and_write(const at::Tensor& qkv, const Rotation& rotation, const CacheCells& cells) {
  const auto nkv = cells.keys.size(1), nh = qkv.size(2) - 2 * nkv, T = qkv.size(1);
  const auto last = [&](const at::Tensor& x) { return x.narrow(2, x.size(2) - T, T); };
  cpu::rotate_heads(qkv.narrow(2, 0, nh + nkv), rotation);
  cpu::write_cells(qkv.narrow(2, nh, nkv), last(cells.keys));
  cpu::write_cells(qkv.narrow(2, nh + nkv, nkv), last(cells.values));
}

at::Tensor norm(const at::Tensor& x, const Norm& norm) {
  return norm.kind == NormKind::layer ? aten_operations().norm(x, norm) : cpu::rms_norm(x, norm);
}

/// float32 in every dtype: [B, C] of one query, [B, 1, g*T, C] of several; none where causal.
AttentionBias attention_bias(const Visibility& seen, const QueryColumns& queries,
                             std::int64_t group, const Placement&) {
  if (seen.rows.empty()) return {.mask = {}, .window = seen.window};
  if (queries.queries > 1)
    return {aten::attention_bias(seen, queries, group, {at::kCPU, at::kFloat})
                .mask.repeat({1, 1, group, 1})};
  constexpr float hidden = -std::numeric_limits<float>::infinity();
  const auto own = queries.column, C = queries.end();
  const at::Tensor bias = at::zeros({std::ssize(seen.rows), C}, at::kFloat);
  auto* of_row = bias.data_ptr<float>();
  for (const RowVisibility& row : seen.rows) {
    const auto first = std::min(first_seen(seen, row, own), own);
    std::fill(of_row, of_row + first, hidden);
    for (std::int64_t c = first; row.compound && c < seen.fed; ++c)
      of_row[c] = static_cast<float>(std::log(static_cast<double>(times_seen(seen, row, own, c))));
    if (row.frozen && seen.fed < own) std::fill(of_row + seen.fed, of_row + own, hidden);
    of_row += C;
  }
  return {bias};
}

at::Tensor attention(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                     const Scores& scores) {
  if (q.size(1) == 1 && bias.mask.defined())
    return cpu::decode_attention(q.squeeze(1), cells, bias.mask, scores).unsqueeze(1);
  if (scores.soft_cap > 0)
    return aten::float32_attention(
        q, cells, bias.mask.defined() ? AttentionBias{bias.mask.narrow(2, 0, q.size(1))} : bias,
        scores);
  if (!bias.mask.defined()) return aten::causal_attention(q, cells, scores.scale, bias.window);
  return aten::stacked_attention(q, cells, bias.mask, scores.scale);
}

void add_product(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
  sum.add_(cpu::product(x, matrix));
}

at::Tensor activated_product(const at::Tensor& x, const Matrix& up, const Mlp& mlp) {
  const at::Tensor y = cpu::product(x, up);
  const bool swiglu = mlp.gated && mlp.activation == Activation::silu;
  return swiglu ? cpu::swiglu(y) : cpu::activated(y, mlp);
}

ArgMax argmax_product(const at::Tensor& x, const Matrix& head) {
  const at::Tensor logits = cpu::product(x, head);
  return {cpu::argmax(logits), cpu::finite_rows(logits)};
}

}  // namespace

const Operations& cpu_operations() {
  static const Operations operations = [] {
    Operations table = aten_operations();
    table.norm = norm;
    table.rotate_and_write = rotate_and_write;
    table.attention_bias = attention_bias;
    table.attention = attention;
    table.product = cpu::product;
    table.add_product = add_product;
    table.activated_product = activated_product;
    table.argmax_product = argmax_product;
    table.argmax = cpu::argmax;
    table.finite_rows = cpu::finite_rows;
    return table;
  }();
  return operations;
}

}  // namespace rvsweep
