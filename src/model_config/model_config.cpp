#include "rvsweep/model_config/model_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model_config/config_keys.hpp"
#include "model_config/families.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/json_place.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const copy_again = "copy the file from the model's folder again";
const char* const see_original = "see the model's original config.json";

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
  for (const auto& [key, usual] :
       {std::pair{"mlp_bias", false}, {"is_encoder_decoder", false}, {"is_causal", true}})
    if (config.get<bool>(key, usual) != usual)
      config.refuse(std::string(key) + (usual ? ": false" : ": true"), supported_families());
  refuse_partial_rotation(config);
  return *family;
}

void read_sizes(const JsonPlace& config, const Family& family, ModelConfig& m) {
  const auto check = [&](bool holds, const char* problem) {
    if (!holds) throw InputError(config.where(), problem, supported_families());
  };
  m.n_layers = config.positive("num_hidden_layers");
  m.hidden_size = config.positive("hidden_size");
  m.intermediate_size = config.positive("intermediate_size");
  m.n_heads = config.positive("num_attention_heads");
  m.n_kv_heads = config.has("num_key_value_heads") ? config.positive("num_key_value_heads")
                 : config.value.contains("num_key_value_heads")
                     ? m.n_heads
                     : family.n_kv_heads.value_or(m.n_heads);
  check(m.n_heads % m.n_kv_heads == 0,
        "num_attention_heads is not a multiple of num_key_value_heads");
  const bool has_head_dim = config.has("head_dim") || family.head_dim;
  check(has_head_dim || m.hidden_size % m.n_heads == 0,
        "hidden_size is not a multiple of num_attention_heads");
  m.head_dim = config.has("head_dim") ? config.positive("head_dim")
                                      : family.head_dim.value_or(m.hidden_size / m.n_heads);
  check(m.head_dim % 2 == 0, "head_dim is odd, so it cannot be rotated");
  m.vocab_size = config.positive("vocab_size");
  m.max_positions = config.positive("max_position_embeddings");
}

/// The rotation that `rope` describes; `theta` where it does not give its own.
RopeConfig rope_of(const JsonPlace& rope, double theta) {
  if (!rope.value.is_object()) throw InputError(rope.where(), "is not a JSON object", see_original);
  for (const auto& [key, value] : rope.value.items())
    if (value.is_object()) rope.refuse("a rotation of its own for " + key, supported_families());
  refuse_partial_rotation(rope);
  RopeConfig result;
  result.theta = rope.get<double>("rope_theta", theta);
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

void refuse_two_readings(const JsonPlace& config, bool differ, const std::string& keys) {
  if (differ)
    throw InputError(config.where(),
                     keys +
                         " do not say the same, and versions of transformers "
                         "differ in which they read",
                     see_original);
}

/// transformers 5 has everything in rope_parameters, 4 has rope_theta and rope_scaling.
RopeConfig read_rope(const JsonPlace& config) {
  const double theta = config.get<double>("rope_theta", 10000.0);
  RopeConfig rope{.theta = theta};
  if (config.has("rope_parameters")) {
    rope = rope_of(section(config, "rope_parameters"), theta);
    refuse_two_readings(config, config.has("rope_theta") && rope.theta != theta,
                        "rope_theta and rope_parameters");
    if (config.has("rope_scaling"))
      refuse_two_readings(config, rope_of(section(config, "rope_scaling"), rope.theta) != rope,
                          "rope_scaling and rope_parameters");
  } else if (config.has("rope_scaling")) {
    rope = rope_of(section(config, "rope_scaling"), theta);
  }
  const char* const original = "original_max_position_embeddings";
  refuse_two_readings(config,
                      rope.type == RopeType::llama3 && config.has(original) &&
                          config.get<double>(original) != rope.original_max_position_embeddings,
                      std::string(original) + " and that of the rotation");
  return rope;
}

std::optional<std::int64_t> read_sliding_window(const JsonPlace& config, const Family& family,
                                                std::int64_t n_layers) {
  if (family.window == Window::none) return std::nullopt;
  if (family.window == Window::by_layer) {
    if (!config.get<bool>("use_sliding_window", false)) return std::nullopt;
    if (config.has("layer_types")) {
      const auto types = config.get<std::vector<std::string>>("layer_types");
      if (std::ranges::find(types, "sliding_attention") == types.end()) return std::nullopt;
    } else if (config.get<std::int64_t>("max_window_layers", 28) >= n_layers) {
      return std::nullopt;
    }
  }
  if (!config.value.contains("sliding_window")) return 4096;  // of every family that has windows
  if (!config.has("sliding_window")) return std::nullopt;
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

std::int64_t ModelConfig::max_length() const {
  return sliding_window ? std::min(max_positions, *sliding_window) : max_positions;
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
  const json object = read_object(path);
  const JsonPlace config = whole(object, path);
  const Family& family = supported_family(config);

  ModelConfig m;
  m.model_type = family.model_type;
  read_sizes(config, family, m);
  m.sliding_window = read_sliding_window(config, family, m.n_layers);
  m.rms_norm_eps = config.get<double>("rms_norm_eps", 1e-6);
  m.initializer_range = config.get<double>("initializer_range", 0.02);
  m.rope = read_rope(config);
  m.tied_head = config.get<bool>("tie_word_embeddings", false);
  read_biases(config, family, m);
  m.head_norms = family.head_norms;
  for (const std::string& key : unknown_keys(object))
    m.notes.push_back(config.where() + ": " + key + " is not known and has no effect");
  read_generation(config, folder / "generation_config.json", m);
  m.eos_token = read_eos_token(folder / "tokenizer_config.json");
  return m;
}

}  // namespace rvsweep
