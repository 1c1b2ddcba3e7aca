#include "rvsweep/model/weights.hpp"

#include <functional>
#include <map>

#include "rvsweep/core/error.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t alignment = 64;  // bytes: a cache line, the widest vector register

/// The matrix or vector whose rows are those of the named parameters, one after another.
using Take = std::function<at::Tensor(const std::vector<std::string>&)>;

/// The parameters of one block, by their names below `scope` ("model.layers.3").
LayerWeights take_layer(const Take& take, const std::string& scope, const ModelConfig& config) {
  const auto optional = [&](const std::string& name, bool present) {
    return present ? take({name}) : at::Tensor();
  };
  const std::string attention = scope + ".self_attn";
  LayerWeights layer;
  layer.input_norm = take({scope + ".input_layernorm.weight"});
  layer.q_proj = take({attention + ".q_proj.weight"});
  layer.k_proj = take({attention + ".k_proj.weight"});
  layer.v_proj = take({attention + ".v_proj.weight"});
  layer.q_bias = optional(attention + ".q_proj.bias", config.qkv_bias);
  layer.k_bias = optional(attention + ".k_proj.bias", config.qkv_bias);
  layer.v_bias = optional(attention + ".v_proj.bias", config.qkv_bias);
  layer.o_proj = take({attention + ".o_proj.weight"});
  layer.o_bias = optional(attention + ".o_proj.bias", config.o_bias);
  layer.post_attention_norm = take({scope + ".post_attention_layernorm.weight"});
  layer.gate_proj = take({scope + ".mlp.gate_proj.weight"});
  layer.up_proj = take({scope + ".mlp.up_proj.weight"});
  layer.down_proj = take({scope + ".mlp.down_proj.weight"});
  return layer;
}

Weights take_all(const Take& take, const ModelConfig& config) {
  Weights weights;
  weights.embedding = take({"model.embed_tokens.weight"});
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer)
    weights.layers.push_back(take_layer(take, "model.layers." + std::to_string(layer), config));
  weights.norm = take({"model.norm.weight"});
  weights.head = config.tied_head ? weights.embedding : take({"lm_head.weight"});
  return weights;
}

std::int64_t count(const std::vector<std::int64_t>& shape) {
  std::int64_t numel = 1;
  for (const std::int64_t n : shape) numel *= n;
  return numel;
}

}  // namespace

WeightLayout weight_layout(const ModelConfig& config, at::ScalarType dtype) {
  const auto shapes = parameter_shapes(config);
  const auto item = static_cast<std::int64_t>(at::elementSize(dtype));
  WeightLayout layout;
  layout.dtype = dtype;
  const auto append = [&](const std::vector<std::string>& names) {
    layout.bytes = (layout.bytes + alignment - 1) / alignment * alignment;
    for (const std::string& name : names) {
      const auto& shape = shapes.at(name);
      layout.slots.push_back({name, shape, layout.bytes, count(shape)});
      layout.bytes += layout.slots.back().numel * item;
    }
    return at::Tensor();
  };
  take_all(append, config);
  return layout;
}

Weights weights_in(const at::Tensor& block, const ModelConfig& config, const WeightLayout& layout) {
  RVSWEEP_EXPECT(block.numel() == layout.bytes, "the block holds the layout");
  std::map<std::string, const WeightSlot*> slots;
  for (const WeightSlot& slot : layout.slots) slots[slot.name] = &slot;
  const auto view = [&](const std::vector<std::string>& names) {
    std::vector<std::int64_t> shape = slots.at(names.front())->shape;
    shape.front() = 0;
    for (const std::string& name : names) shape.front() += slots.at(name)->shape.front();
    const auto bytes = count(shape) * static_cast<std::int64_t>(at::elementSize(layout.dtype));
    return block.narrow(0, slots.at(names.front())->offset, bytes).view(layout.dtype).view(shape);
  };
  return take_all(view, config);
}

}  // namespace rvsweep
