#include "rvsweep/model_config/model_config.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const char* const supported = "rvsweep runs dense Llama, Mistral and Qwen2 models";

json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file)
    throw InputError(path.string(), "cannot be read",
                     "model.path must name a Hugging Face model folder");
  try {
    json object = json::parse(file);
    if (!object.is_object())
      throw InputError(path.string(), "is not a JSON object",
                       "copy the file from the model's folder again");
    return object;
  } catch (const json::parse_error& error) {
    throw InputError(path.string(), "is not valid JSON at byte " + std::to_string(error.byte),
                     "copy the file from the model's folder again");
  }
}

/// A JSON object with typed access; every failure names the file and the key.
struct Section {
  const json& object;
  std::string where;

  bool has(const char* key) const { return object.contains(key) && !object[key].is_null(); }
  [[noreturn]] void refuse(const std::string& problem,
                           const std::string& advice = supported) const {
    throw InputError(where, problem, advice);
  }
  template <class T>
  T get(const char* key) const {
    if (!has(key)) refuse(std::string("has no \"") + key + "\"", "the file is not complete");
    try {
      return object[key].get<T>();
    } catch (const json::exception&) {
      refuse(std::string("\"") + key + "\" is " + object[key].dump() + ", which has the wrong type",
             "see the model's original config.json");
    }
  }
  template <class T>
  T get(const char* key, T otherwise) const {
    return has(key) ? get<T>(key) : otherwise;
  }
  std::int64_t positive(const char* key) const {
    const auto value = get<std::int64_t>(key);
    if (value <= 0)
      refuse(std::string("\"") + key + "\" is " + std::to_string(value), "it must be positive");
    return value;
  }
};

void refuse_partial_rotation(const Section& section) {
  if (section.get<double>("partial_rotary_factor", 1.0) != 1.0)
    section.refuse("partial_rotary_factor other than 1 is not supported");
}

void refuse_unsupported(const Section& config) {
  static const std::set<std::string> types{"llama", "mistral", "qwen2"};
  const auto type = config.get<std::string>("model_type");
  if (!types.contains(type)) config.refuse("model_type \"" + type + "\" is not supported");
  if (config.has("quantization_config"))
    config.refuse("quantization_config: quantised weights are not supported",
                  "use the float32 or bfloat16 weights of the model");
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"})
    if (config.has(key)) config.refuse(std::string(key) + ": mixture of experts is not supported");
  const auto activation = config.get<std::string>("hidden_act", "silu");
  if (activation != "silu") config.refuse("hidden_act \"" + activation + "\" is not supported");
  if (config.get<bool>("mlp_bias", false)) config.refuse("mlp_bias is not supported");
  refuse_partial_rotation(config);
}

/// transformers 5: rope_parameters{rope_theta, rope_type, ...}; 4: rope_theta + rope_scaling{...}.
RopeConfig read_rope(const Section& config) {
  static const json none = json::object();
  const bool v5 = config.has("rope_parameters");
  const bool v4 = config.has("rope_scaling");
  const Section rope{v5   ? config.object["rope_parameters"]
                     : v4 ? config.object["rope_scaling"]
                          : none,
                     config.where + (v5   ? " rope_parameters"
                                     : v4 ? " rope_scaling"
                                          : "")};
  if (!rope.object.is_object())
    rope.refuse("is not a JSON object", "see the model's original config.json");
  for (const auto& [key, value] : rope.object.items())
    if (value.is_object()) rope.refuse("a rotation of its own for " + key + " is not supported");
  refuse_partial_rotation(rope);
  RopeConfig result;
  result.theta = rope.has("rope_theta") ? rope.get<double>("rope_theta")
                                        : config.get<double>("rope_theta", 10000.0);
  const auto type = rope.get<std::string>("rope_type", rope.get<std::string>("type", "default"));
  if (type == "default") return result;
  if (type != "linear" && type != "llama3")
    rope.refuse("rope type \"" + type + "\" is not supported",
                "supported are default, linear and llama3");
  result.factor = rope.get<double>("factor");
  if (!(result.factor > 0)) rope.refuse("\"factor\" is not above 0", "see the model's config.json");
  if (type == "linear") {
    result.type = RopeType::linear;
    return result;
  }
  result.type = RopeType::llama3;
  result.low_freq_factor = rope.get<double>("low_freq_factor");
  result.high_freq_factor = rope.get<double>("high_freq_factor");
  result.original_max_position_embeddings = rope.get<double>("original_max_position_embeddings");
  return result;
}

std::optional<std::int64_t> read_sliding_window(const Section& config) {
  // The default of transformers' MistralConfig, where the key is left out altogether.
  if (!config.object.contains("sliding_window") &&
      config.get<std::string>("model_type") == "mistral")
    return 4096;
  if (!config.has("sliding_window")) return std::nullopt;
  if (!config.get<bool>("use_sliding_window", true)) return std::nullopt;
  if (config.has("layer_types")) {
    const auto types = config.get<std::vector<std::string>>("layer_types");
    if (std::find(types.begin(), types.end(), "sliding_attention") == types.end())
      return std::nullopt;
  }
  return config.positive("sliding_window");
}

void add_eos(const Section& file, std::vector<std::int32_t>& ids) {
  if (!file.has("eos_token_id")) return;
  if (file.object["eos_token_id"].is_array()) {
    for (auto id : file.get<std::vector<std::int32_t>>("eos_token_id")) ids.push_back(id);
  } else {
    ids.push_back(file.get<std::int32_t>("eos_token_id"));
  }
}

}  // namespace

std::int64_t ModelConfig::max_length() const {
  return sliding_window ? std::min(max_positions, *sliding_window) : max_positions;
}

ModelConfig load_model_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const json object = read_json(path);
  const Section config{object, path.string()};
  refuse_unsupported(config);

  ModelConfig m;
  m.model_type = config.get<std::string>("model_type");
  m.n_layers = config.positive("num_hidden_layers");
  m.hidden_size = config.positive("hidden_size");
  m.intermediate_size = config.positive("intermediate_size");
  m.n_heads = config.positive("num_attention_heads");
  m.n_kv_heads =
      config.has("num_key_value_heads") ? config.positive("num_key_value_heads") : m.n_heads;
  if (m.n_heads % m.n_kv_heads != 0)
    config.refuse("num_attention_heads is not a multiple of num_key_value_heads");
  if (!config.has("head_dim") && m.hidden_size % m.n_heads != 0)
    config.refuse("hidden_size is not a multiple of num_attention_heads");
  m.head_dim = config.has("head_dim") ? config.positive("head_dim") : m.hidden_size / m.n_heads;
  if (m.head_dim % 2 != 0) config.refuse("head_dim is odd, so it cannot be rotated");
  m.vocab_size = config.positive("vocab_size");
  m.max_positions = config.positive("max_position_embeddings");
  m.sliding_window = read_sliding_window(config);
  m.rms_norm_eps = config.get<double>("rms_norm_eps", 1e-6);
  m.initializer_range = config.get<double>("initializer_range", 0.02);
  m.rope = read_rope(config);
  m.tied_head = config.get<bool>("tie_word_embeddings", false);
  const bool attention_bias = config.get<bool>("attention_bias", false);
  m.qkv_bias = m.model_type == "qwen2" || attention_bias;
  m.o_bias = m.model_type == "llama" && attention_bias;

  add_eos(config, m.eos_token_ids);
  const auto generation_path = folder / "generation_config.json";
  if (std::filesystem::exists(generation_path)) {
    const json generation = read_json(generation_path);
    add_eos(Section{generation, generation_path.string()}, m.eos_token_ids);
  }
  const auto tokenizer_path = folder / "tokenizer_config.json";
  if (std::filesystem::exists(tokenizer_path)) {
    const json tokenizer = read_json(tokenizer_path);
    const Section facts{tokenizer, tokenizer_path.string()};
    if (facts.has("eos_token") && tokenizer["eos_token"].is_object())
      m.eos_token =
          Section{tokenizer["eos_token"], facts.where + " eos_token"}.get<std::string>("content");
    else
      m.eos_token = facts.get<std::string>("eos_token", "");
  }
  std::sort(m.eos_token_ids.begin(), m.eos_token_ids.end());
  m.eos_token_ids.erase(std::unique(m.eos_token_ids.begin(), m.eos_token_ids.end()),
                        m.eos_token_ids.end());
  return m;
}

}  // namespace rvsweep
