#include "rvsweep/model_config/model_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model_config/families.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const copy_again = "copy the file from the model's folder again";
const char* const see_original = "see the model's original config.json";

json read_object(const std::filesystem::path& path) {
  const auto text = read_file(path);
  if (!text)
    throw InputError(path.string(), "cannot be read",
                     "model.path must name a Hugging Face model folder");
  json object = parse_json(*text, path.string(), copy_again);
  if (!object.is_object()) throw InputError(path.string(), "is not a JSON object", copy_again);
  return object;
}

JsonPlace whole(const json& object, const std::filesystem::path& path) {
  return {object, path.string(), "", see_original};
}

/// Member `key`, itself an object, whose errors name the file and then the key.
JsonPlace section(const JsonPlace& place, const std::string& key) {
  return {place.value[key], place.file + " " + key, "", place.advice};
}

void refuse_partial_rotation(const JsonPlace& place) {
  if (place.get<double>("partial_rotary_factor", 1.0) != 1.0)
    place.refuse("partial_rotary_factor other than 1", supported_families());
}

/// The family of a config.json that asks for nothing that no family supports.
const Family& supported_family(const JsonPlace& config) {
  const auto type = config.get<std::string>("model_type");
  const Family* const family = find_family(type);
  if (family == nullptr) config.refuse("model_type \"" + type + "\"", supported_families());
  if (config.has("quantization_config"))
    throw InputError(config.where(), "quantization_config: quantised weights are not supported",
                     "use the float32 or bfloat16 weights of the model");
  for (const std::string key : {"num_local_experts", "num_experts", "n_routed_experts"})
    if (config.has(key)) config.refuse(key + ": mixture of experts", supported_families());
  const auto activation = config.get<std::string>("hidden_act", "silu");
  if (activation != "silu")
    config.refuse("hidden_act \"" + activation + "\"", supported_families());
  if (config.get<bool>("mlp_bias", false)) config.refuse("mlp_bias", supported_families());
  refuse_partial_rotation(config);
  return *family;
}

void read_sizes(const JsonPlace& config, ModelConfig& m) {
  const auto check = [&](bool holds, const char* problem) {
    if (!holds) throw InputError(config.where(), problem, supported_families());
  };
  m.n_layers = config.positive("num_hidden_layers");
  m.hidden_size = config.positive("hidden_size");
  m.intermediate_size = config.positive("intermediate_size");
  m.n_heads = config.positive("num_attention_heads");
  m.n_kv_heads =
      config.has("num_key_value_heads") ? config.positive("num_key_value_heads") : m.n_heads;
  check(m.n_heads % m.n_kv_heads == 0,
        "num_attention_heads is not a multiple of num_key_value_heads");
  const bool has_head_dim = config.has("head_dim");
  check(has_head_dim || m.hidden_size % m.n_heads == 0,
        "hidden_size is not a multiple of num_attention_heads");
  m.head_dim = has_head_dim ? config.positive("head_dim") : m.hidden_size / m.n_heads;
  check(m.head_dim % 2 == 0, "head_dim is odd, so it cannot be rotated");
  m.vocab_size = config.positive("vocab_size");
  m.max_positions = config.positive("max_position_embeddings");
}

/// The object that describes the rotation: transformers 5 has rope_parameters{rope_theta,
/// rope_type, ...}, 4 rope_scaling{...}; empty where there is neither.
JsonPlace rope_section(const JsonPlace& config) {
  static const json none = json::object();
  for (const char* key : {"rope_parameters", "rope_scaling"})
    if (config.has(key)) return section(config, key);
  return {none, config.file, "", config.advice};
}

RopeConfig read_rope(const JsonPlace& config) {
  const JsonPlace rope = rope_section(config);
  if (!rope.value.is_object()) throw InputError(rope.where(), "is not a JSON object", see_original);
  for (const auto& [key, value] : rope.value.items())
    if (value.is_object()) rope.refuse("a rotation of its own for " + key, supported_families());
  refuse_partial_rotation(rope);
  RopeConfig result;
  result.theta = rope.has("rope_theta") ? rope.get<double>("rope_theta")
                                        : config.get<double>("rope_theta", 10000.0);
  const auto type = rope.get<std::string>("rope_type", rope.get<std::string>("type", "default"));
  if (type == "default") return result;
  if (type != "linear" && type != "llama3")
    rope.refuse("rope type \"" + type + "\"", "supported are default, linear and llama3");
  result.factor = rope.get<double>("factor");
  if (!(result.factor > 0))
    throw InputError(rope.where(), "\"factor\" is not above 0", "see the model's config.json");
  result.type = type == "linear" ? RopeType::linear : RopeType::llama3;
  if (result.type == RopeType::linear) return result;
  result.low_freq_factor = rope.get<double>("low_freq_factor");
  result.high_freq_factor = rope.get<double>("high_freq_factor");
  result.original_max_position_embeddings = rope.get<double>("original_max_position_embeddings");
  return result;
}

std::optional<std::int64_t> read_sliding_window(const JsonPlace& config, const Family& family) {
  if (!config.value.contains("sliding_window")) return family.sliding_window;
  if (!config.has("sliding_window")) return std::nullopt;
  if (!config.get<bool>("use_sliding_window", true)) return std::nullopt;
  if (config.has("layer_types")) {
    const auto types = config.get<std::vector<std::string>>("layer_types");
    if (std::ranges::find(types, "sliding_attention") == types.end()) return std::nullopt;
  }
  return config.positive("sliding_window");
}

void read_biases(const JsonPlace& config, const Family& family, ModelConfig& m) {
  const bool attention_bias = config.get<bool>("attention_bias", false);
  const auto has = [&](Bias bias) {
    return bias == Bias::by_attention_bias ? attention_bias : bias == Bias::always;
  };
  m.qkv_bias = has(family.qkv_bias);
  m.o_bias = has(family.o_bias);
}

void add_eos_ids(const JsonPlace& file, std::vector<std::int32_t>& ids) {
  if (!file.has("eos_token_id")) return;
  if (file.value["eos_token_id"].is_array()) {
    for (auto id : file.get<std::vector<std::int32_t>>("eos_token_id")) ids.push_back(id);
  } else {
    ids.push_back(file.get<std::int32_t>("eos_token_id"));
  }
}

std::vector<std::int32_t> read_eos_ids(const JsonPlace& config,
                                       const std::filesystem::path& generation_config) {
  std::vector<std::int32_t> ids;
  add_eos_ids(config, ids);
  if (std::filesystem::exists(generation_config)) {
    const json object = read_object(generation_config);
    add_eos_ids(whole(object, generation_config), ids);
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
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

std::int64_t ModelConfig::max_length() const {
  return sliding_window ? std::min(max_positions, *sliding_window) : max_positions;
}

ModelConfig load_model_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const json object = read_object(path);
  const JsonPlace config = whole(object, path);
  const Family& family = supported_family(config);

  ModelConfig m;
  m.model_type = family.model_type;
  read_sizes(config, m);
  m.sliding_window = read_sliding_window(config, family);
  m.rms_norm_eps = config.get<double>("rms_norm_eps", 1e-6);
  m.initializer_range = config.get<double>("initializer_range", 0.02);
  m.rope = read_rope(config);
  m.tied_head = config.get<bool>("tie_word_embeddings", false);
  read_biases(config, family, m);
  m.eos_token_ids = read_eos_ids(config, folder / "generation_config.json");
  m.eos_token = read_eos_token(folder / "tokenizer_config.json");
  return m;
}

}  // namespace rvsweep
