#include "rvsweep/model_config/parameters.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr const char* head_name = "lm_head.weight";

/// A row of the table. One whose name has {} stands for a parameter of every layer.
struct Row {
  Slot slot;
  std::string name;
  Shape shape;
  Role role;
  bool present = true;

  bool is_of_layer() const { return name.find("{}") != std::string::npos; }
};

/// Llama's names, which the other families have too. The rows of layers follow each other.
std::vector<Row> rows_of(const ModelConfig& c) {
  using enum Slot;
  using enum Role;
  const std::int64_t V = c.vocab_size, H = c.hidden_size, I = c.intermediate_size;
  const std::int64_t Q = c.n_heads * c.head_dim, D = c.kv_dim();
  return {
      {embedding, "model.embed_tokens.weight", {V, H}, lookup},
      {input_norm, "model.layers.{}.input_layernorm.weight", {H}, norm_weight},
      {qkv_proj, "model.layers.{}.self_attn.q_proj.weight", {Q, H}, product},
      {qkv_proj, "model.layers.{}.self_attn.k_proj.weight", {D, H}, product},
      {qkv_proj, "model.layers.{}.self_attn.v_proj.weight", {D, H}, product},
      {qkv_bias, "model.layers.{}.self_attn.q_proj.bias", {Q}, bias, c.qkv_bias},
      {qkv_bias, "model.layers.{}.self_attn.k_proj.bias", {D}, bias, c.qkv_bias},
      {qkv_bias, "model.layers.{}.self_attn.v_proj.bias", {D}, bias, c.qkv_bias},
      {q_norm, "model.layers.{}.self_attn.q_norm.weight", {c.head_dim}, norm_weight, c.head_norms},
      {k_norm, "model.layers.{}.self_attn.k_norm.weight", {c.head_dim}, norm_weight, c.head_norms},
      {o_proj, "model.layers.{}.self_attn.o_proj.weight", {H, Q}, product},
      {o_bias, "model.layers.{}.self_attn.o_proj.bias", {H}, bias, c.o_bias},
      {mlp_norm, "model.layers.{}.post_attention_layernorm.weight", {H}, norm_weight},
      {gate_up_proj, "model.layers.{}.mlp.gate_proj.weight", {I, H}, product},
      {gate_up_proj, "model.layers.{}.mlp.up_proj.weight", {I, H}, product},
      {down_proj, "model.layers.{}.mlp.down_proj.weight", {H, I}, product},
      {norm, "model.norm.weight", {H}, norm_weight},
      {head, head_name, {V, H}, product, !c.tied_head},
  };
}

std::string show(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool passed_over(const ModelConfig& config, const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tied_head && name == head_name);
}

void check_tensor(const std::string& where, const TensorEntry& entry, const Shape& shape) {
  if (entry.shape != shape)
    throw InputError(where,
                     "has shape " + show(entry.shape) + " where config.json means " + show(shape),
                     "config.json and weights must come from the same model");
  if (entry.dtype != "F32" && entry.dtype != "BF16" && entry.dtype != "F16")
    throw InputError(where, "dtype " + entry.dtype + " is not supported",
                     "use float32, bfloat16 or float16 weights, not quantised ones");
}

}  // namespace

std::int64_t Parameter::numel() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies());
}

std::vector<Parameter> parameters_of(const ModelConfig& config) {
  const std::vector<Row> rows = rows_of(config);
  std::vector<Parameter> parameters;
  const auto append = [&](const Row& row, std::int64_t layer) {
    if (!row.present) return;
    std::string name = row.name;
    if (row.is_of_layer()) name.replace(name.find("{}"), 2, std::to_string(layer));
    parameters.push_back({row.slot, std::move(name), row.shape, row.role, layer});
  };
  const auto first = std::ranges::find_if(rows, &Row::is_of_layer);
  const auto last = std::find_if_not(first, rows.end(), std::mem_fn(&Row::is_of_layer));
  for (auto row = rows.begin(); row != first; ++row) append(*row, 0);
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer)
    for (auto row = first; row != last; ++row) append(*row, layer);
  for (auto row = last; row != rows.end(); ++row) append(*row, 0);
  return parameters;
}

void check_tensors(const ModelConfig& config, const TensorIndex& index) {
  std::map<std::string, Shape> shapes;
  for (const Parameter& parameter : parameters_of(config)) shapes[parameter.name] = parameter.shape;
  for (const auto& [name, shape] : shapes) {
    const auto found = index.find(name);
    if (found == index.end())
      throw InputError("", "parameter " + name + " is in none of the model's safetensors files",
                       "config.json and weights must come from the same model");
    check_tensor(found->second.file.string() + " tensor " + name, found->second, shape);
  }
  for (const auto& [name, entry] : index)
    if (!shapes.contains(name) && !passed_over(config, name))
      throw InputError(entry.file.string() + " tensor " + name, "is not a parameter of this model",
                       "the architecture has parts that rvsweep does not know");
}

}  // namespace rvsweep
