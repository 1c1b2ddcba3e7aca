#pragma once
// The configuration files of a Hugging Face model folder, as transformers 4 and 5 write them. What
// the forward pass does not support is refused here, by name.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rvsweep {

enum class RopeType { default_, linear, llama3 };

/// Rotary embedding: inverse frequencies theta^(-2i/head_dim), which linear and llama3 scale.
struct RopeConfig {
  RopeType type = RopeType::default_;
  double theta = 10000.0;
  double factor = 1.0;           // > 0; linear and llama3
  double low_freq_factor = 1.0;  // llama3 only, like the two below
  double high_freq_factor = 4.0;
  double original_max_position_embeddings = 8192;

  bool operator==(const RopeConfig&) const = default;
};

/// Sizes and numerics of a decoder: what the forward pass needs of config.json and of its family
/// (src/model_config/families.hpp).
struct ModelConfig {
  std::string model_type;  // of its family
  std::int64_t n_layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;
  std::optional<std::int64_t> sliding_window;  // rows that would outgrow it are refused
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;  // standard deviation of weights that are drawn
  RopeConfig rope;
  bool tied_head = false;  // the embedding serves as head
  bool qkv_bias = false;
  bool o_bias = false;
  bool head_norms = false;        // RMSNorm of each head's queries and keys before rotation
  double repetition_penalty = 1;  // that generation_config.json asks for
  std::vector<std::int32_t> eos_token_ids;  // config.json and generation_config.json, sorted
  std::string eos_token;           // as tokenizer_config.json writes it; "" where it does not
  std::vector<std::string> notes;  // for people: what is unusual, or asked for and not done

  std::int64_t kv_dim() const { return n_kv_heads * head_dim; }  // width of V: D in the docs
  std::int64_t group() const { return n_heads / n_kv_heads; }    // query heads per KV head
  /// The longest sequence a row may reach: positions, and the sliding window where there is one.
  std::int64_t max_length() const;
};

/// Throws InputError of `where` when the embedding has no row for `token`.
void check_token(std::int32_t token, const ModelConfig& model, const std::string& where);

/// Reads `folder`/config.json (+ generation_config.json and tokenizer_config.json where present).
/// Throws InputError naming the file and key: missing or malformed file, unsupported architecture,
/// activation, rope type, biases, mixture of experts, quantised weights.
ModelConfig load_model_config(const std::filesystem::path& folder);

}  // namespace rvsweep
