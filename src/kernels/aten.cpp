#include "kernels/aten.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep::aten {
namespace {

constexpr float hidden = -std::numeric_limits<float>::infinity();

/// The query heads of a KV head are stacked along the query axis, so that K and V are read as they
/// lie in the cache: q [B, T, nh, hd] -> [B, nkv, g*T, hd].
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

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor in_float = x.to(at::kFloat);
  const at::Tensor scale = (in_float.square().mean(-1, /*keepdim=*/true) + eps).rsqrt();
  return (in_float * scale).to(x.scalar_type()).mul_(weight);
}

void rotate_and_write(const at::Tensor& qkv, const Rotation& rotation, const CacheCells& cells) {
  const auto nkv = cells.keys.size(1), nh = qkv.size(2) - 2 * nkv, T = qkv.size(1);
  const at::Tensor rotated = qkv.narrow(2, 0, nh + nkv);
  rotated.copy_(rotate(rotated, {rotation.cos.unsqueeze(2), rotation.sin.unsqueeze(2)}));
  const auto write = [&](std::int64_t first_head, const at::Tensor& to) {
    to.narrow(2, to.size(2) - T, T).copy_(qkv.narrow(2, first_head, nkv).transpose(1, 2));
  };
  write(nh, cells.keys);
  write(nh + nkv, cells.values);
}

at::Tensor product(const at::Tensor& x, const Matrix& matrix) {
  RVSWEEP_EXPECT(matrix.format == MatrixFormat::rows, "libtorch multiplies matrices of rows");
  return at::linear(x, matrix.data, matrix.bias);
}

void add_product(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
  sum.add_(product(x, matrix));
}

at::Tensor swiglu_product(const at::Tensor& x, const Matrix& gate_up) {
  const auto halves = product(x, gate_up).chunk(2, -1);
  return at::silu(halves[0]).mul_(halves[1]);
}

at::Tensor argmax(const at::Tensor& logits) { return logits.argmax(-1); }

at::Tensor finite_rows(const at::Tensor& logits) {
  return logits.sum(-1, /*keepdim=*/false, at::kDouble).isfinite();
}

ArgMax argmax_product(const at::Tensor& x, const Matrix& head) {
  const at::Tensor logits = product(x, head);
  return {aten::argmax(logits), finite_rows(logits)};
}

}  // namespace

/// float32 [B, 1, g*T, C], or [B, 1, 1, C] of one query: 0 where a cell is seen, -inf where not,
/// ln n where it counts n times.
at::Tensor attention_bias(const Visibility& seen, const QueryColumns& queries, std::int64_t group,
                          at::Device device) {
  const auto B = std::ssize(seen.rows);
  std::vector<std::int64_t> first_column;
  at::Tensor frozen = at::zeros({B, 1, 1, 1}, at::kBool), compound = frozen.clone();
  bool some_frozen = false, some_compound = false;
  for (std::int64_t r = 0; r < B; ++r) {
    const RowVisibility& row = seen.rows[static_cast<std::size_t>(r)];
    first_column.push_back(row.first);
    frozen.data_ptr<bool>()[r] = row.frozen;
    compound.data_ptr<bool>()[r] = row.compound;
    some_frozen |= row.frozen;
    some_compound |= row.compound;
  }
  const at::Tensor first = at::tensor(first_column, at::kLong).view({B, 1, 1, 1});
  const at::Tensor cell = at::arange(queries.end()).view({1, 1, 1, -1});
  const at::Tensor own = at::arange(queries.column, queries.end()).view({1, 1, -1, 1});
  at::Tensor is_seen = (cell <= own) & ((cell >= first) | (cell == own));
  if (some_frozen) is_seen.masked_fill_(frozen & (cell >= seen.fed) & (cell < own), false);
  at::Tensor bias =
      at::zeros(is_seen.sizes(), at::kFloat).masked_fill_(is_seen.logical_not(), hidden);
  if (some_compound) {
    std::vector<float> ln_times;
    for (std::int64_t p = queries.column; p < queries.end(); ++p)
      ln_times.push_back(static_cast<float>(std::log(static_cast<double>(p - seen.fed + 1))));
    bias = at::where(compound & is_seen & (cell < seen.fed),
                     at::tensor(ln_times, at::kFloat).view({1, 1, -1, 1}), bias);
  }
  bias = bias.to(device);
  return queries.queries == 1 ? bias : bias.repeat({1, 1, group, 1});
}

at::Tensor attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                     double scale) {
  const at::Tensor z = at::scaled_dot_product_attention(
      stack_groups(q, cells.keys.size(1)), cells.keys, cells.values, bias,
      /*dropout_p=*/0.0, /*is_causal=*/false, scale);
  return unstack_groups(z, q.size(1));
}

}  // namespace rvsweep::aten

namespace rvsweep {

const Operations& aten_operations() {
  static const Operations operations{.rms_norm = aten::rms_norm,
                                     .rotate_and_write = aten::rotate_and_write,
                                     .attention_bias = aten::attention_bias,
                                     .attention = aten::attention,
                                     .product = aten::product,
                                     .add_product = aten::add_product,
                                     .swiglu_product = aten::swiglu_product,
                                     .argmax_product = aten::argmax_product,
                                     .argmax = aten::argmax,
                                     .finite_rows = aten::finite_rows};
  return operations;
}

}  // namespace rvsweep
