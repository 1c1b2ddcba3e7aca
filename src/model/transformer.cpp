#include "rvsweep/model/transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <map>

#include "model/rotary.hpp"
#include "rvsweep/core/error.hpp"

// Shapes: B rows, T queries per row, C cache columns seen, H hidden, I intermediate, nh query
// heads, nkv KV heads, hd head_dim.

namespace rvsweep {

namespace {

/// Not scaled: keys that are turned once more must not be scaled twice.
Rotation rotation_of_rope(const RopeConfig& rope, const at::Tensor& positions,
                          const at::Tensor& frequencies) {
  Rotation rotation = rotation_at(positions, frequencies);
  rotation.in_float32 = rope.in_float32;
  return rotation;
}

}  // namespace

/// What every layer of one pass uses.
struct Transformer::Pass {
  const ForwardInput& input;
  KvCache& cache;
  std::vector<AttentionBias> bias;       // by layer
  std::vector<Rotation> rotations = {};  // [B, T, rotary_dim/2], as inverse_frequencies_

  /// x [B, T, heads, dim] at a site, after its edits.
  at::Tensor at_site(Site site, std::int64_t layer, const at::Tensor& x) const {
    return apply_edits(input.edits, input.captures, site, layer, x);
  }
  /// The same of a site without heads, x [B, T, H].
  at::Tensor at_stream_site(Site site, std::int64_t layer, const at::Tensor& x) const {
    return at_site(site, layer, x.unsqueeze(2)).squeeze(2);
  }
  /// The same of some heads of x [B, T, heads, dim], in place.
  void at_heads(Site site, std::int64_t layer, const at::Tensor& x, std::int64_t first,
                std::int64_t heads) const {
    const at::Tensor of_site = x.narrow(2, first, heads);
    const at::Tensor edited = at_site(site, layer, of_site);
    if (!edited.is_same(of_site)) of_site.copy_(edited);
  }
};

Transformer::Transformer(ModelConfig config, Weights weights, const Placement& placement,
                         const Operations& operations)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      placement_(placement),
      operations_(&operations) {
  const auto add = [&](const RopeConfig& rope) {
    inverse_frequencies_.push_back(
        inverse_frequencies(rope, config_.rotary_dim()).to(placement.device));
  };
  add(config_.rope);
  if (config_.local_rope) add(*config_.local_rope);
}

Rotation Transformer::turn(std::int64_t layer, const at::Tensor& positions) const {
  const std::size_t which = rotation_of(layer);
  return rotation_of_rope(rope(which), positions, inverse_frequencies_[which]);
}

const RopeConfig& Transformer::rope(std::size_t rotation) const {
  return rotation == 0 ? config_.rope : *config_.local_rope;
}

std::size_t Transformer::rotation_of(std::int64_t layer) const {
  return config_.local_rope && config_.is_local(layer) ? 1 : 0;
}

at::Tensor Transformer::embed(const at::Tensor& tokens) const {
  const at::Tensor embedded = at::embedding(weights_.embedding, tokens);
  if (config_.embedding_scale == 1) return embedded;
  // Hugging Face rounds the scale to the model's dtype.
  return embedded * at::scalar_tensor(config_.embedding_scale, embedded.options());
}

at::Tensor Transformer::norm(const at::Tensor& x, const Norm& norm) const {
  return norm.weight.defined() ? operations_->norm(x, norm) : x;
}

at::Tensor Transformer::unembed(const at::Tensor& residual) const {
  const at::Tensor logits = operations_->product(norm(residual, weights_.norm), weights_.head);
  const double cap = config_.logit_soft_cap;
  return cap > 0 ? logits.div_(cap).tanh_().mul_(cap) : logits;
}

ArgMax Transformer::argmax(const at::Tensor& residual) const {
  if (config_.logit_soft_cap == 0)
    return operations_->argmax_product(norm(residual, weights_.norm), weights_.head);
  const at::Tensor logits = unembed(residual);
  return {operations_->argmax(logits), operations_->finite_rows(logits)};
}

/// z [B, T, nh * hd] of the normed stream x [B, T, H], whose keys and values go to the cache;
/// undefined at the pass's last_kv_layer.
at::Tensor Transformer::attention_half(const Pass& pass, std::int64_t layer,
                                       const at::Tensor& x) const {
  const auto B = x.size(0), T = x.size(1);
  const auto nh = config_.n_heads, nkv = config_.n_kv_heads, hd = config_.head_dim;
  const at::Tensor qkv =
      operations_->product(x, weights_.layers[layer].qkv).view({B, T, nh + 2 * nkv, hd});
  pass.at_heads(Site::q, layer, qkv, 0, nh);
  pass.at_heads(Site::k, layer, qkv, nh, nkv);
  pass.at_heads(Site::v, layer, qkv, nh + nkv, nkv);
  if (config_.qk_norm != QkNorm::none) {
    const auto norm_heads = [&](std::int64_t first, std::int64_t heads, const Norm& of) {
      at::Tensor x = qkv.narrow(2, first, heads);
      if (config_.qk_norm == QkNorm::all_heads) x = x.flatten(2);
      x.copy_(norm(x, of));
    };
    norm_heads(0, nh, weights_.layers[layer].q_norm);
    norm_heads(nh, nkv, weights_.layers[layer].k_norm);
  }
  const CacheCells cells = pass.cache.cells(layer, pass.input.column + T);
  operations_->rotate_and_write(qkv, pass.rotations[rotation_of(layer)], cells);
  if (pass.input.query_captures != nullptr)
    for (QueryCapture& capture : *pass.input.query_captures)
      if (capture.layer == layer) capture.values = qkv.select(1, T - 1).narrow(1, 0, nh).clone();
  if (layer == pass.input.last_kv_layer) return {};
  const at::Tensor z =
      operations_->attention(qkv.narrow(2, 0, nh), cells, pass.bias[layer],
                             {config_.attention_scale(), config_.attention_soft_cap});
  return pass.at_site(Site::z, layer, z).reshape({B, T, nh * hd});
}

/// [B, T, I] of the normed stream x [B, T, H].
at::Tensor Transformer::mlp_half(std::int64_t layer, const at::Tensor& x) const {
  return operations_->activated_product(x, weights_.layers[layer].gate_up,
                                        {config_.activation, config_.gated_mlp});
}

/// What a half adds to the stream, [B, T, H]: x times `matrix`, normed where `out_norm` is there.
at::Tensor Transformer::output(const Pass& pass, Site site, std::int64_t layer, const at::Tensor& x,
                               const Matrix& matrix, const Norm& out_norm) const {
  return pass.at_stream_site(site, layer, norm(operations_->product(x, matrix), out_norm));
}

void Transformer::add_output(const Pass& pass, Site site, std::int64_t layer, const at::Tensor& x,
                             const Matrix& matrix, const Norm& out_norm, at::Tensor& sum) const {
  if (out_norm.weight.defined() || has_edits(pass.input.edits, pass.input.captures, site, layer))
    sum.add_(output(pass, site, layer, x, matrix, out_norm));
  else
    operations_->add_product(x, matrix, sum);
}

/// By layer. Layers of one class share theirs where nothing lies beyond a window: no column, nor
/// any copy of one.
std::vector<AttentionBias> Transformer::attention_biases(const LayerVisibility& seen,
                                                         const QueryColumns& queries) const {
  std::map<std::pair<std::size_t, std::int64_t>, AttentionBias> known;
  std::vector<AttentionBias> of_layers;
  for (std::int64_t layer = 0; layer < config_.n_layers; ++layer) {
    const auto class_of = seen.class_of_layer[layer];
    const bool hides = config_.window(layer) < queries.end() ||
                       std::ranges::any_of(seen.classes[class_of].rows, &RowVisibility::compound);
    const auto window = hides ? config_.window(layer) : 0;
    const auto [bias, is_new] = known.try_emplace({class_of, window});
    if (is_new) {
      Visibility of_class = seen.classes[class_of];
      of_class.window = window;
      bias->second = operations_->attention_bias(of_class, queries, config_.group(), placement_);
    }
    of_layers.push_back(bias->second);
  }
  return of_layers;
}

at::Tensor Transformer::forward(const ForwardInput& input, KvCache& cache) const {
  const QueryColumns queries{input.column, input.positions.size(1)};
  RVSWEEP_EXPECT(queries.end() <= cache.columns() && input.positions.size(0) == cache.rows(),
                 "the cache must hold the batch");
  RVSWEEP_EXPECT(input.outputs == Outputs::none || input.last_kv_layer == config_.n_layers,
                 "outputs need the whole model");
  Pass pass{input, cache, attention_biases(*input.seen, queries)};
  for (std::size_t i = 0; i < inverse_frequencies_.size(); ++i) {
    Rotation rotation = rotation_of_rope(rope(i), input.positions, inverse_frequencies_[i]);
    if (const double scale = rope(i).scale; scale != 1) {
      rotation.cos.mul_(scale);
      rotation.sin.mul_(scale);
    }
    pass.rotations.push_back(std::move(rotation));
  }

  at::Tensor stream =  // [B, T, H], the residual stream
      input.residual.defined() ? input.residual.clone() : embed(input.tokens);
  if (config_.learned_positions && !input.residual.defined())
    stream.add_(
        at::embedding(weights_.positions, input.positions.clamp_max(config_.max_positions - 1)));
  for (std::int64_t layer = input.first_layer; layer < config_.n_layers; ++layer) {
    const LayerWeights& w = weights_.layers[layer];
    stream = pass.at_stream_site(Site::resid_pre, layer, stream);
    const at::Tensor z = attention_half(pass, layer, norm(stream, w.input_norm));
    if (!z.defined()) return {};
    const auto add_mlp = [&](at::Tensor& sum) {
      const at::Tensor gated = mlp_half(layer, norm(stream, w.mlp_norm));
      add_output(pass, Site::mlp_out, layer, gated, w.down, w.mlp_out_norm, sum);
    };
    if (config_.parallel_residual) {  // in transformers' order: the stream is rounded once
      at::Tensor halves = output(pass, Site::attn_out, layer, z, w.o, w.attention_out_norm);
      add_mlp(halves);
      stream.add_(halves);
    } else {
      add_output(pass, Site::attn_out, layer, z, w.o, w.attention_out_norm, stream);
      add_mlp(stream);
    }
    stream = pass.at_stream_site(Site::resid_post, layer, stream);
  }
  if (input.outputs == Outputs::none) return {};
  return input.outputs == Outputs::last_query ? stream.select(1, queries.queries - 1) : stream;
}

}  // namespace rvsweep
