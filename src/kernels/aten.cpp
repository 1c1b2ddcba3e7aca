#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include "kernels/aten_attention.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::aten {
namespace {

at::Tensor norm(const at::Tensor& x, const Norm& norm) {
  if (norm.kind == NormKind::layer)
    return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.eps);
  const at::Tensor in_float = x.to(at::kFloat);
  const at::Tensor scale = (in_float.square().mean(-1, /*keepdim=*/true) + norm.eps).rsqrt();
  const at::Tensor quotient = in_float * scale;
  if (norm.kind == NormKind::rms) return quotient.to(x.scalar_type()).mul_(norm.weight);
  const at::Tensor weight = norm.weight.to(at::kFloat);
  return (quotient * (norm.kind == NormKind::rms_plus_one ? weight + 1 : weight))
      .to(x.scalar_type());
}

void rotate_and_write(const at::Tensor& qkv, const Rotation& rotation, const CacheCells& cells) {
  const auto nkv = cells.keys.size(1), nh = qkv.size(2) - 2 * nkv, T = qkv.size(1);
  const at::Tensor rotated = qkv.narrow(2, 0, nh + nkv);
  rotated.copy_(
      rotate(rotated, {rotation.cos.unsqueeze(2), rotation.sin.unsqueeze(2), rotation.in_float32}));
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

at::Tensor activated(const at::Tensor& x, Activation activation) {
  if (activation == Activation::silu) return at::silu(x);
  return at::gelu(x, activation == Activation::gelu_tanh ? "tanh" : "none");
}

at::Tensor activated_product(const at::Tensor& x, const Matrix& up, const Mlp& mlp) {
  const at::Tensor y = product(x, up);
  if (!mlp.gated) return activated(y, mlp.activation);
  const auto halves = y.chunk(2, -1);
  return activated(halves[0], mlp.activation).mul_(halves[1]);
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

}  // namespace rvsweep::aten

namespace rvsweep {

const Operations& aten_operations() {
  static const Operations operations{.norm = aten::norm,
                                     .rotate_and_write = aten::rotate_and_write,
                                     .attention_bias = aten::attention_bias,
                                     .attention = aten::attention,
                                     .product = aten::product,
                                     .add_product = aten::add_product,
                                     .activated_product = aten::activated_product,
                                     .argmax_product = aten::argmax_product,
                                     .argmax = aten::argmax,
                                     .finite_rows = aten::finite_rows};
  return operations;
}

}  // namespace rvsweep
