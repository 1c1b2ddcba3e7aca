#include "rvsweep/model/weights.hpp"

#include <functional>
#include <map>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {
namespace {

constexpr const char* embedding_name = "model.embed_tokens.weight";

/// The matrix or vector whose rows are those of the named parameters, one after another.
using Take = std::function<Matrix(const std::vector<std::string>&)>;

/// The parameters of one block, by their names below `scope` ("model.layers.3").
LayerWeights take_layer(const Take& take, const std::string& scope, const ModelConfig& config) {
  const std::string attention = scope + ".self_attn";
  LayerWeights layer;
  layer.input_norm = take({scope + ".input_layernorm.weight"}).data;
  layer.qkv = take(
      {attention + ".q_proj.weight", attention + ".k_proj.weight", attention + ".v_proj.weight"});
  if (config.qkv_bias)
    layer.qkv.bias =
        take({attention + ".q_proj.bias", attention + ".k_proj.bias", attention + ".v_proj.bias"})
            .data;
  layer.o = take({attention + ".o_proj.weight"});
  if (config.o_bias) layer.o.bias = take({attention + ".o_proj.bias"}).data;
  layer.mlp_norm = take({scope + ".post_attention_layernorm.weight"}).data;
  layer.gate_up = take({scope + ".mlp.gate_proj.weight", scope + ".mlp.up_proj.weight"});
  layer.down = take({scope + ".mlp.down_proj.weight"});
  return layer;
}

Weights take_all(const Take& take, const ModelConfig& config) {
  Weights weights;
  weights.embedding = take({embedding_name}).data;
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer)
    weights.layers.push_back(take_layer(take, "model.layers." + std::to_string(layer), config));
  weights.norm = take({"model.norm.weight"}).data;
  weights.head = config.tied_head ? matrix_of_rows(weights.embedding) : take({"lm_head.weight"});
  return weights;
}

std::int64_t count(const std::vector<std::int64_t>& shape) {
  std::int64_t numel = 1;
  for (const std::int64_t n : shape) numel *= n;
  return numel;
}

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

/// Whether activations are multiplied with it; the embedding is looked up.
bool is_product(const std::string& name, const Shapes& shapes) {
  return shapes.at(name).size() == 2 && name != embedding_name;
}

void append_group(const std::vector<std::string>& names, const Shapes& shapes,
                  WeightLayout& layout) {
  layout.bytes = aligned(layout.bytes);
  for (const std::string& name : names) {
    layout.slots.push_back({name, shapes.at(name), layout.bytes, count(shapes.at(name))});
    layout.bytes +=
        layout.slots.back().numel * static_cast<std::int64_t>(at::elementSize(layout.dtype));
  }
}

}  // namespace

WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype, Parameters parameters) {
  const auto shapes = parameter_shapes(config);
  WeightLayout layout;
  layout.dtype = dtype;
  const auto append = [&](const std::vector<std::string>& names) {
    if (parameters == Parameters::all || !is_product(names.front(), shapes))
      append_group(names, shapes, layout);
    return Matrix();
  };
  take_all(append, config);
  return layout;
}

std::vector<WeightLayout> product_matrices(const ModelConfig& config, at::ScalarType dtype) {
  const auto shapes = parameter_shapes(config);
  std::vector<WeightLayout> matrices;
  const auto append = [&](const std::vector<std::string>& names) {
    matrices.push_back({dtype, {}, 0});
    append_group(names, shapes, matrices.back());
  };
  const auto append_product = [&](const std::vector<std::string>& names) {
    if (is_product(names.front(), shapes)) append(names);
    return Matrix();
  };
  take_all(append_product, config);
  if (config.tied_head) append({embedding_name});
  return matrices;
}

Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout,
                   const std::vector<Matrix>& matrices) {
  RVSWEEP_EXPECT(block.numel() == layout.bytes, "the block must hold the layout");
  std::map<std::string, const WeightSlot*> slots;
  for (const WeightSlot& slot : layout.slots) slots[slot.name] = &slot;
  auto next_matrix = matrices.begin();
  const auto take = [&](const std::vector<std::string>& names) {
    const auto first = slots.find(names.front());
    if (first == slots.end()) return *next_matrix++;
    std::vector<std::int64_t> shape = first->second->shape;
    shape.front() = 0;
    for (const std::string& name : names) shape.front() += slots.at(name)->shape.front();
    const auto bytes = count(shape) * static_cast<std::int64_t>(at::elementSize(layout.dtype));
    const at::Tensor data =
        block.narrow(0, first->second->offset, bytes).view(layout.dtype).view(shape);
    return Matrix{MatrixFormat::rows, shape.front(), shape.back(), data};
  };
  Weights weights = take_all(take, config);
  if (config.tied_head && !matrices.empty()) weights.head = *next_matrix++;
  RVSWEEP_EXPECT(next_matrix == matrices.end(), "every matrix must have its use");
  return weights;
}

}  // namespace rvsweep
