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
  bool transposed = false;
  std::int64_t head_rows = 0;

  bool is_of_layer() const { return name.find("{}") != std::string::npos; }
};

/// Llama's names, which most families have. The rows of layers follow each other.
std::vector<Row> llama_rows(const ModelConfig& c) {
  using enum Slot;
  using enum Role;
  const std::int64_t V = c.vocab_size, H = c.hidden_size, I = c.intermediate_size;
  const std::int64_t Q = c.n_heads * c.head_dim, D = c.kv_dim();
  const bool qk_norm = c.qk_norm != QkNorm::none, each_head = c.qk_norm == QkNorm::each_head;
  const std::string layer = "model.layers.{}.";
  const std::string after_attention = layer + "post_attention_layernorm.weight";
  // Llama gives this norm the name that the one after attention has elsewhere.
  const std::string before_mlp =
      c.norms_after ? layer + "pre_feedforward_layernorm.weight" : after_attention;
  return {
      {embedding, "model.embed_tokens.weight", {V, H}, lookup},
      {input_norm, layer + "input_layernorm.weight", {H}, norm_weight, c.norms_before},
      {qkv_proj, layer + "self_attn.qkv_proj.weight", {Q + 2 * D, H}, product, c.fused},
      {qkv_proj, layer + "self_attn.q_proj.weight", {Q, H}, product, !c.fused},
      {qkv_proj, layer + "self_attn.k_proj.weight", {D, H}, product, !c.fused},
      {qkv_proj, layer + "self_attn.v_proj.weight", {D, H}, product, !c.fused},
      {qkv_proj, layer + "self_attn.q_proj.bias", {Q}, bias, c.qkv_bias},
      {qkv_proj, layer + "self_attn.k_proj.bias", {D}, bias, c.qkv_bias},
      {qkv_proj, layer + "self_attn.v_proj.bias", {D}, bias, c.qkv_bias},
      {q_norm,
       layer + "self_attn.q_norm.weight",
       {each_head ? c.head_dim : Q},
       norm_weight,
       qk_norm},
      {k_norm,
       layer + "self_attn.k_norm.weight",
       {each_head ? c.head_dim : D},
       norm_weight,
       qk_norm},
      {o_proj, layer + "self_attn.o_proj.weight", {H, Q}, product},
      {o_proj, layer + "self_attn.o_proj.bias", {H}, bias, c.o_bias},
      {attention_out_norm, after_attention, {H}, norm_weight, c.norms_after},
      {mlp_norm, before_mlp, {H}, norm_weight, c.norms_before},
      {gate_up_proj, layer + "mlp.gate_up_proj.weight", {2 * I, H}, product, c.fused},
      {gate_up_proj, layer + "mlp.gate_proj.weight", {I, H}, product, !c.fused},
      {gate_up_proj, layer + "mlp.up_proj.weight", {I, H}, product, !c.fused},
      {gate_up_proj, layer + "mlp.gate_proj.bias", {I}, bias, c.mlp_bias},
      {gate_up_proj, layer + "mlp.up_proj.bias", {I}, bias, c.mlp_bias},
      {down_proj, layer + "mlp.down_proj.weight", {H, I}, product},
      {down_proj, layer + "mlp.down_proj.bias", {H}, bias, c.mlp_bias},
      {mlp_out_norm, layer + "post_feedforward_layernorm.weight", {H}, norm_weight, c.norms_after},
      {norm, "model.norm.weight", {H}, norm_weight},
      {head, head_name, {V, H}, product, !c.tied_head},
  };
}

/// The rows of q, k and v lie head by head.
std::vector<Row> gpt_neox_rows(const ModelConfig& c) {
  using enum Slot;
  using enum Role;
  const std::int64_t V = c.vocab_size, H = c.hidden_size, I = c.intermediate_size;
  const std::int64_t hd = c.head_dim;
  const std::string layer = "gpt_neox.layers.{}.", qkv = layer + "attention.query_key_value.";
  return {
      {embedding, "gpt_neox.embed_in.weight", {V, H}, lookup},
      {input_norm, layer + "input_layernorm.weight", {H}, norm_weight},
      {input_norm, layer + "input_layernorm.bias", {H}, bias},
      {qkv_proj, qkv + "weight", {3 * H, H}, product, true, false, hd},
      {qkv_proj, qkv + "bias", {3 * H}, bias, c.qkv_bias, false, hd},
      {o_proj, layer + "attention.dense.weight", {H, H}, product},
      {o_proj, layer + "attention.dense.bias", {H}, bias, c.o_bias},
      {mlp_norm, layer + "post_attention_layernorm.weight", {H}, norm_weight},
      {mlp_norm, layer + "post_attention_layernorm.bias", {H}, bias},
      {gate_up_proj, layer + "mlp.dense_h_to_4h.weight", {I, H}, product},
      {gate_up_proj, layer + "mlp.dense_h_to_4h.bias", {I}, bias},
      {down_proj, layer + "mlp.dense_4h_to_h.weight", {H, I}, product},
      {down_proj, layer + "mlp.dense_4h_to_h.bias", {H}, bias},
      {norm, "gpt_neox.final_layer_norm.weight", {H}, norm_weight},
      {norm, "gpt_neox.final_layer_norm.bias", {H}, bias},
      {head, head_name, {V, H}, product, !c.tied_head},
  };
}

/// Matrices are those of products from the left: Conv1D.
std::vector<Row> gpt2_rows(const ModelConfig& c) {
  using enum Slot;
  using enum Role;
  const std::int64_t V = c.vocab_size, H = c.hidden_size, I = c.intermediate_size;
  const std::string layer = "transformer.h.{}.";
  return {
      {embedding, "transformer.wte.weight", {V, H}, lookup},
      {positions, "transformer.wpe.weight", {c.max_positions, H}, lookup},
      {input_norm, layer + "ln_1.weight", {H}, norm_weight},
      {input_norm, layer + "ln_1.bias", {H}, bias},
      {qkv_proj, layer + "attn.c_attn.weight", {3 * H, H}, product, true, true},
      {qkv_proj, layer + "attn.c_attn.bias", {3 * H}, bias},
      {o_proj, layer + "attn.c_proj.weight", {H, H}, product, true, true},
      {o_proj, layer + "attn.c_proj.bias", {H}, bias},
      {mlp_norm, layer + "ln_2.weight", {H}, norm_weight},
      {mlp_norm, layer + "ln_2.bias", {H}, bias},
      {gate_up_proj, layer + "mlp.c_fc.weight", {I, H}, product, true, true},
      {gate_up_proj, layer + "mlp.c_fc.bias", {I}, bias},
      {down_proj, layer + "mlp.c_proj.weight", {H, I}, product, true, true},
      {down_proj, layer + "mlp.c_proj.bias", {H}, bias},
      {norm, "transformer.ln_f.weight", {H}, norm_weight},
      {norm, "transformer.ln_f.bias", {H}, bias},
      {head, head_name, {V, H}, product, !c.tied_head},
  };
}

std::vector<Row> rows_of(const ModelConfig& c) {
  if (c.naming == Naming::gpt_neox) return gpt_neox_rows(c);
  return c.naming == Naming::gpt2 ? gpt2_rows(c) : llama_rows(c);
}

/// Beginnings of names in files, and what they are here.
const std::map<Naming, std::vector<std::pair<std::string, std::string>>> renamed{
    {Naming::llama,
     {{"language_model.model.", "model."},
      {"model.language_model.", "model."},
      {"language_model.lm_head.", "lm_head."}}},
    {Naming::gpt_neox, {{"embed_out.", "lm_head."}}},
    {Naming::gpt2,
     {{"wte.", "transformer.wte."},
      {"wpe.", "transformer.wpe."},
      {"h.", "transformer.h."},
      {"ln_f.", "transformer.ln_f."}}}};

/// Rotary frequencies and causal masks of old folders, and what sees.
bool has_no_part(const std::string& name) {
  for (const char* end : {".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias",
                          ".attn.bias", ".attn.masked_bias"})
    if (name.ends_with(end)) return true;
  for (const std::string begin : {"vision_tower.", "multi_modal_projector."})
    if (name.starts_with(begin) || name.starts_with("model." + begin)) return true;
  return false;
}

std::string show(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool passed_over(const ModelConfig& config, const std::string& name) {
  return config.tied_head && name == head_name;
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

Shape Parameter::file_shape() const {
  return transposed ? Shape{shape.rbegin(), shape.rend()} : shape;
}

std::int64_t Parameter::place_in_file(std::int64_t i) const {
  const std::int64_t in = shape.size() == 1 ? 1 : shape.back(), row = i / in, column = i % in;
  if (transposed) return column * shape.front() + row;
  if (head_rows == 0) return i;
  const std::int64_t of_part = shape.front() / 3, part = row / of_part, place = row % of_part;
  const std::int64_t head = place / head_rows;
  return ((3 * head + part) * head_rows + place % head_rows) * in + column;
}

std::vector<Parameter> parameters_of(const ModelConfig& config) {
  const std::vector<Row> rows = rows_of(config);
  std::vector<Parameter> parameters;
  const auto append = [&](const Row& row, std::int64_t layer) {
    if (!row.present) return;
    std::string name = row.name;
    if (row.is_of_layer()) name.replace(name.find("{}"), 2, std::to_string(layer));
    parameters.push_back(
        {row.slot, std::move(name), row.shape, row.role, layer, row.transposed, row.head_rows});
  };
  const auto first = std::ranges::find_if(rows, &Row::is_of_layer);
  const auto last = std::find_if_not(first, rows.end(), std::mem_fn(&Row::is_of_layer));
  for (auto row = rows.begin(); row != first; ++row) append(*row, 0);
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer)
    for (auto row = first; row != last; ++row) append(*row, layer);
  for (auto row = last; row != rows.end(); ++row) append(*row, 0);
  return parameters;
}

TensorIndex own_tensors(const ModelConfig& config, const TensorIndex& files) {
  TensorIndex own;
  for (const auto& [name, entry] : files) {
    if (has_no_part(name)) continue;
    std::string here = name;
    for (const auto& [from, to] : renamed.at(config.naming))
      if (name.starts_with(from)) here = to + name.substr(from.size());
    own.emplace(std::move(here), entry);
  }
  return own;
}

void check_tensors(const ModelConfig& config, const TensorIndex& index) {
  std::map<std::string, Shape> shapes;
  for (const Parameter& parameter : parameters_of(config))
    shapes[parameter.name] = parameter.file_shape();
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
