#include "rvsweep/model_config/model_config.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "model_config/config_keys.hpp"
#include "model_config/families.hpp"
#include "model_config/positions.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const copy_again = "copy the file from the model's folder again";

/// What to do where `folder` has no config.json.
std::string another_folder(const std::filesystem::path& folder) {
  const std::string name = folder.string(),
                    wanted = "model.path must name a Hugging Face model folder";
  if (name.starts_with("~")) return wanted + " without ~, which only a shell replaces";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "snapshots", error))
    return wanted + ", here a snapshot: " + entry.path().string();
  if (!std::filesystem::exists(folder) && folder.is_relative() &&
      std::ranges::count(name, '/') == 1)
    return wanted + "; one of the hub is fetched before: hf download " + name + " --local-dir DIR";
  return wanted;
}

/// InputError for a link to nothing, as a snapshot of the hub's cache has without its blobs.
void check_links(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const auto kind = entry.path().extension();
    if ((kind == ".json" || kind == ".safetensors") && entry.is_symlink() && !entry.exists())
      throw InputError(entry.path().string(),
                       "is a link to " + std::filesystem::read_symlink(entry.path()).string() +
                           ", which is not there",
                       "copy the folder with what its links name (cp -rL), or download it again");
  }
}

json read_object(const std::filesystem::path& path) {
  const auto text = read_file(path);
  if (!text) throw InputError(path.string(), "cannot be read", another_folder(path.parent_path()));
  json object = parse_json(*text, path.string(), copy_again);
  if (!object.is_object()) throw InputError(path.string(), "is not a JSON object", copy_again);
  return object;
}

JsonPlace whole(const json& object, const std::filesystem::path& path) {
  return {object, path.string(), "", see_original};
}

/// What config.json means in Llama's words: a text model's part of a multimodal one, the family's
/// defaults where keys are absent, and Llama's names of keys.
json in_llamas_words(json object, const Family& family) {
  if (object.contains("text_config") && object["text_config"].is_object()) {
    const json text = object["text_config"];
    object.erase("text_config");
    object.update(text);
    object["model_type"] = family.model_type;
  }
  for (const auto& [key, value] : family.defaults.items())
    if (!object.contains(key)) object[key] = value;
  for (const auto& [key, usual] : family.aliases.items()) {
    if (object.contains(key)) object[usual.get<std::string>()] = object[key];
    object.erase(key);
  }
  return object;
}

/// A key that has an effect in some families only.
template <class T>
T own(const JsonPlace& config, const Family& family, const std::string& key, T otherwise) {
  return family.honours.contains(key) ? config.get<T>(key, otherwise) : otherwise;
}

const Family& family_of(const JsonPlace& config) {
  const auto type = config.get<std::string>("model_type");
  const Family* const family = find_family(type);
  if (family == nullptr) config.refuse("model_type \"" + type + "\"", supported_families());
  return *family;
}

/// InputError for what no family supports.
void refuse_unsupported(const JsonPlace& config, const Family& family) {
  if (config.has("quantization_config"))
    throw InputError(config.where(), "quantization_config: quantised weights are not supported",
                     "use the float32 or bfloat16 weights of the model");
  for (const std::string key : {"num_local_experts", "num_experts", "n_routed_experts"})
    if (config.has(key)) config.refuse(key + ": mixture of experts", supported_families());
  for (const auto& [key, usual] : {std::pair{"is_encoder_decoder", false},
                                   {"is_causal", true},
                                   {"use_bidirectional_attention", false},
                                   {"add_cross_attention", false},
                                   {"scale_attn_weights", true},
                                   {"scale_attn_by_inverse_layer_idx", false}})
    if (config.get<bool>(key, usual) != usual)
      config.refuse(std::string(key) + (usual ? ": false" : ": true"), supported_families());
  if (!family.honours.contains("mlp_bias") && config.get<bool>("mlp_bias", false))
    config.refuse("mlp_bias: true", supported_families());
}

Activation read_activation(const JsonPlace& config) {
  const auto name = config.get<std::string>("hidden_act", "silu");
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh")
    return Activation::gelu_tanh;
  config.refuse("hidden_act \"" + name + "\"", "supported are silu, gelu and its tanh forms");
}

void read_sizes(const JsonPlace& config, const Family& family, ModelConfig& m) {
  const auto check = [&](bool holds, const char* problem) {
    if (!holds) throw InputError(config.where(), problem, supported_families());
  };
  m.n_layers = config.positive("num_hidden_layers");
  m.hidden_size = config.positive("hidden_size");
  m.intermediate_size = family.honours.contains("n_inner")
                            ? config.get<std::int64_t>("n_inner", 4 * m.hidden_size)
                            : config.positive("intermediate_size");
  m.n_heads = config.positive("num_attention_heads");
  m.n_kv_heads =
      config.has("num_key_value_heads") ? config.positive("num_key_value_heads") : m.n_heads;
  check(m.n_heads % m.n_kv_heads == 0,
        "num_attention_heads is not a multiple of num_key_value_heads");
  check(config.has("head_dim") || m.hidden_size % m.n_heads == 0,
        "hidden_size is not a multiple of num_attention_heads");
  m.head_dim = config.has("head_dim") ? config.positive("head_dim") : m.hidden_size / m.n_heads;
  m.vocab_size = config.positive("vocab_size");
  m.max_positions = config.positive("max_position_embeddings");
}

void read_biases(const JsonPlace& config, const Family& family, ModelConfig& m) {
  m.mlp_bias = own(config, family, "mlp_bias", false);
  const bool attention_bias = config.get<bool>("attention_bias", false);
  const auto has = [&](Bias bias) {
    return bias == Bias::by_attention_bias ? attention_bias : bias == Bias::always;
  };
  m.qkv_bias = has(family.qkv_bias);
  m.o_bias = has(family.o_bias);
}

/// Family and what is unusual about it.
std::string describe(const ModelConfig& m, const Family& family) {
  std::string text = family.name;
  const auto add = [&](bool is_so, const std::string& what) {
    if (is_so) text += ", " + what;
  };
  add(m.norm == NormKind::layer, "LayerNorm");
  add(m.norm == NormKind::rms_plus_one, "norms times 1 + weight");
  add(m.norms_after, m.norms_before ? "norms before and after each half" : "norms after each half");
  add(m.qk_norm == QkNorm::each_head, "each head's queries and keys normed");
  add(m.qk_norm == QkNorm::all_heads, "queries and keys normed over all heads");
  add(m.parallel_residual, "attention and MLP side by side");
  add(!m.gated_mlp, "plain MLP");
  add(m.learned_positions, "learned positions");
  add(m.rope.share != 1,
      fmt::format("{} of {} elements of a head rotated", m.rotary_dim(), m.head_dim));
  add(m.rope.type == RopeType::linear, "linear rotary scaling");
  add(m.rope.type == RopeType::llama3, "llama3 rotary scaling");
  add(m.rope.type == RopeType::yarn, "YaRN");
  add(m.rope.type == RopeType::longrope, "LongRoPE within its original context");
  add(m.local_rope.has_value(), "another rotation in layers of sliding attention");
  add(m.embedding_scale != 1, "scaled embeddings");
  add(m.attention_soft_cap > 0, fmt::format("scores capped at {}", m.attention_soft_cap));
  add(m.logit_soft_cap > 0, fmt::format("logits capped at {}", m.logit_soft_cap));
  add(m.sliding_window.has_value(),
      fmt::format("sliding window of {} in {} of {} layers", m.sliding_window.value_or(0),
                  std::ranges::count(m.local_layers, true), m.n_layers));
  return text;
}

void add_eos_ids(const JsonPlace& file, std::vector<std::int32_t>& ids) {
  if (!file.has("eos_token_id")) return;
  if (file.value["eos_token_id"].is_array()) {
    for (auto id : file.get<std::vector<std::int32_t>>("eos_token_id")) ids.push_back(id);
  } else {
    ids.push_back(file.get<std::int32_t>("eos_token_id"));
  }
}

/// Eos ids of both files, and what else generation_config.json asks for.
void read_generation(const JsonPlace& config, const std::filesystem::path& generation_config,
                     ModelConfig& m) {
  std::vector<std::int32_t>& ids = m.eos_token_ids;
  add_eos_ids(config, ids);
  if (std::filesystem::exists(generation_config)) {
    const json object = read_object(generation_config);
    const JsonPlace file = whole(object, generation_config);
    add_eos_ids(file, ids);
    m.repetition_penalty = file.get<double>("repetition_penalty", 1.0);
    for (const std::string& setting : settings_not_applied(object))
      m.notes.push_back(generation_config.string() + ": " + setting + " is not applied");
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

std::string read_eos_token(const std::filesystem::path& tokenizer_config) {
  if (!std::filesystem::exists(tokenizer_config)) return "";
  const json object = read_object(tokenizer_config);
  const JsonPlace file = whole(object, tokenizer_config);
  if (file.has("eos_token") && object["eos_token"].is_object())
    return section(file, "eos_token").get<std::string>("content");
  return file.get<std::string>("eos_token", "");
}

}  // namespace

double ModelConfig::attention_scale() const {
  return 1.0 / std::sqrt(query_scalar > 0 ? query_scalar : static_cast<double>(head_dim));
}

bool ModelConfig::is_local(std::int64_t layer) const {
  return !local_layers.empty() && local_layers.at(static_cast<std::size_t>(layer));
}

std::int64_t ModelConfig::window(std::int64_t layer) const {
  return is_local(layer) ? sliding_window.value_or(0) : 0;
}

std::int64_t ModelConfig::rotary_dim() const {
  return learned_positions ? 0
                           : static_cast<std::int64_t>(static_cast<double>(head_dim) * rope.share);
}

std::string positions_text(const ModelConfig& model) {
  const bool original = model.rope.type == RopeType::longrope;
  return std::to_string(model.max_positions) +
         (original ? " positions (LongRoPE's original context: long_factor is not computed)"
                   : " positions");
}

void check_token(std::int32_t token, const ModelConfig& model, const std::string& where) {
  if (token >= model.vocab_size)
    throw InputError(where,
                     "has token " + std::to_string(token) +
                         ", but the model's vocabulary ends at " +
                         std::to_string(model.vocab_size - 1),
                     "config.json and tokenizer.json must belong together");
}

ModelConfig load_model_config(const std::filesystem::path& folder) {
  check_links(folder);
  const auto path = folder / "config.json";
  const json file = read_object(path);
  const Family& family = family_of(whole(file, path));
  const json object = in_llamas_words(file, family);
  const JsonPlace config = whole(object, path);
  refuse_unsupported(config, family);

  ModelConfig m;
  m.model_type = family.model_type;
  read_sizes(config, family, m);
  m.norm = family.norm;
  m.norm_eps = config.get<double>("rms_norm_eps", 1e-6);
  m.norms_before = family.norms_before;
  m.norms_after = family.norms_after;
  m.qk_norm = family.qk_norm;
  m.initializer_range = config.get<double>("initializer_range", 0.02);
  m.naming = family.naming;
  m.fused = family.fused;
  m.gated_mlp = family.gated_mlp;
  m.activation = read_activation(config);
  m.parallel_residual = own(config, family, "use_parallel_residual", false);
  if (family.scaled_embedding) m.embedding_scale = std::sqrt(static_cast<double>(m.hidden_size));
  m.query_scalar = own(config, family, "query_pre_attn_scalar", 0.0);
  m.attention_soft_cap = own(config, family, "attn_logit_softcapping", 0.0);
  m.logit_soft_cap = own(config, family, "final_logit_softcapping", 0.0);
  read_positions(config, family, m);
  m.tied_head = config.get<bool>("tie_word_embeddings", false);
  read_biases(config, family, m);
  for (const std::string& key : unknown_keys(object))
    m.notes.push_back(config.where() + ": " + key + " is not known and has no effect");
  read_generation(config, folder / "generation_config.json", m);
  m.eos_token = read_eos_token(folder / "tokenizer_config.json");
  m.description = describe(m, family);
  return m;
}

}  // namespace rvsweep
