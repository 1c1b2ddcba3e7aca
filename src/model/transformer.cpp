#include "rvsweep/model/transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>

#include "kernels/cpu/decode_attention.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/rms_norm.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/model/rotary.hpp"

// Shapes: B rows, T queries per row, C cache columns seen, H hidden, nh query heads, nkv KV heads,
// g = nh / nkv query heads per KV head, hd head_dim.

namespace rvsweep {
namespace {

/// Query heads of one KV head are stacked along the query axis, so that K and V are read as they
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

/// bias [B, 1, T, C] -> [B, 1, g*T, C], the order of stack_groups.
at::Tensor stack_bias(const at::Tensor& bias, std::int64_t group, std::int64_t columns) {
  const at::Tensor seen = bias.narrow(3, 0, columns);
  return seen.size(2) == 1 ? seen : seen.repeat({1, 1, group, 1});
}

}  // namespace

Transformer::Transformer(ModelConfig config, Weights weights, const Placement& placement)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      placement_(placement),
      inverse_frequencies_(rvsweep::inverse_frequencies(config_).to(placement.device)) {}

at::Tensor Transformer::embed(const at::Tensor& tokens) const {
  return at::embedding(weights_.embedding, tokens);
}

at::Tensor Transformer::unembed(const at::Tensor& residual) const {
  const at::Tensor x = rms_norm(residual, weights_.norm, config_.rms_norm_eps);
  return project(x, weights_.head);
}

LargestLogits Transformer::largest_logits(const at::Tensor& residual) const {
  const at::Tensor x = rms_norm(residual, weights_.norm, config_.rms_norm_eps);
  return project_to_largest(x, weights_.head);
}

at::Tensor Transformer::forward(const ForwardInput& input, KvCache& cache) const {
  const auto B = input.positions.size(0), T = input.positions.size(1);
  const auto nh = config_.n_heads, nkv = config_.n_kv_heads, hd = config_.head_dim;
  const auto columns = input.column + T;
  RVSWEEP_EXPECT(columns <= cache.columns() && B == cache.rows(), "the cache must hold the batch");
  RVSWEEP_EXPECT(input.outputs == Outputs::none || input.last_kv_layer == config_.n_layers,
                 "outputs need the whole model");
  const auto at_site = [&](Site site, std::int64_t layer, const at::Tensor& x) {
    return apply_edits(input.patches, input.records, site, layer, x);
  };
  // Sites without heads are [B, T, 1, H] to patches and records.
  const auto at_whole_site = [&](Site site, std::int64_t layer, const at::Tensor& x) {
    return at_site(site, layer, x.unsqueeze(2)).squeeze(2);
  };
  // What a block's half gives, added to the residual stream.
  const auto add_output = [&](Site site, std::int64_t layer, const at::Tensor& of_half,
                              const at::Tensor& matrix, const at::Tensor& b, at::Tensor& stream) {
    if (has_edits(input.patches, input.records, site, layer))
      stream.add_(at_whole_site(site, layer, project(of_half, matrix, b)));
    else
      add_projection(of_half, matrix, b, stream);
  };

  std::vector<at::Tensor> bias;  // [B, 1, g*T, C] by class
  for (const at::Tensor& by_class : input.bias->classes)
    bias.push_back(stack_bias(by_class, config_.group(), columns));
  const Rotation rotation = rotation_at(input.positions, inverse_frequencies_);  // [B, T, hd/2]
  const double scale = 1.0 / std::sqrt(static_cast<double>(hd));

  // [B, T, H], the residual stream
  at::Tensor x = input.residual.defined() ? input.residual.clone() : embed(input.tokens);
  for (std::int64_t layer = input.first_layer; layer < config_.n_layers; ++layer) {
    const LayerWeights& w = weights_.layers[layer];
    x = at_whole_site(Site::resid_pre, layer, x);
    const at::Tensor h = rms_norm(x, w.input_norm, config_.rms_norm_eps);

    at::Tensor qkv = project(h, w.qkv_proj, w.qkv_bias).view({B, T, nh + 2 * nkv, hd});
    const auto at_heads = [&](Site site, std::int64_t first, std::int64_t heads) {
      at::Tensor of_site = qkv.narrow(2, first, heads);
      const at::Tensor patched = at_site(site, layer, of_site);
      if (!patched.is_same(of_site)) of_site.copy_(patched);
    };
    at_heads(Site::q, 0, nh);
    at_heads(Site::k, nh, nkv);
    at_heads(Site::v, nh + nkv, nkv);
    rotate_heads(qkv.narrow(2, 0, nh + nkv), rotation);
    at::Tensor keys = cache.k[layer].narrow(2, 0, columns);    // [B, nkv, C, hd]
    at::Tensor values = cache.v[layer].narrow(2, 0, columns);  // [B, nkv, C, hd]
    write_cells(qkv.narrow(2, nh, nkv), keys.narrow(2, input.column, T));
    write_cells(qkv.narrow(2, nh + nkv, nkv), values.narrow(2, input.column, T));
    if (layer == input.last_kv_layer) return {};

    const at::Tensor q = qkv.narrow(2, 0, nh);  // [B, T, nh, hd]
    const at::Tensor& seen = bias[input.bias->class_of_layer[layer]];
    at::Tensor z;  // [B, T, nh, hd]
    if (T == 1 && x.is_cpu()) {
      z = decode_attention(q.squeeze(1), keys, values, seen.flatten(0, 2), scale).unsqueeze(1);
    } else {
      z = at::scaled_dot_product_attention(stack_groups(q, nkv), keys, values, seen,
                                           /*dropout_p=*/0.0, /*is_causal=*/false, scale);
      z = unstack_groups(z, T);
    }
    z = at_site(Site::z, layer, z).reshape({B, T, nh * hd});
    add_output(Site::attn_out, layer, z, w.o_proj, w.o_bias, x);

    const at::Tensor m = rms_norm(x, w.mlp_norm, config_.rms_norm_eps);
    const at::Tensor gated = project_gated(m, w.gate_up_proj);  // [B, T, I]
    add_output(Site::mlp_out, layer, gated, w.down_proj, {}, x);
    x = at_whole_site(Site::resid_post, layer, x);
  }
  switch (input.outputs) {
    case Outputs::last_query:
      return x.select(1, T - 1);
    case Outputs::every_query:
      return x;
    case Outputs::none:
      break;
  }
  return {};
}

}  // namespace rvsweep
