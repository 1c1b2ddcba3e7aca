#pragma once
// The configuration files of a Hugging Face model folder, as transformers 4 and 5 write them. What
// the forward pass does not support is refused here, by name.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/core/arithmetic.hpp"

namespace rvsweep {

/// What of a token's queries and keys is normed before rotation.
enum class QkNorm { none, each_head, all_heads };

/// Whose names and orders the weight files have.
enum class Naming { llama, gpt_neox, gpt2 };

enum class RopeType { default_, linear, llama3, yarn, longrope };

/// Rotary embedding: inverse frequencies theta^(-2i/rotary_dim), which all types but default_
/// scale.
struct RopeConfig {
  RopeType type = RopeType::default_;
  double theta = 10000.0;
  double factor = 1.0;           // > 0; linear, llama3 and yarn
  double low_freq_factor = 1.0;  // llama3
  double high_freq_factor = 4.0;
  double original_max_position_embeddings = 8192;  // llama3 and yarn
  double beta_fast = 32, beta_slow = 1;            // yarn
  bool truncate = true;                            // yarn
  std::vector<double> divisors = {};  // of each frequency, longrope: short_factor in config.json
  double scale = 1.0;                 // of cos and sin, not where keys are turned once more
  double share = 1.0;                 // of a head's elements that are rotated: its first ones
  bool in_float32 = false;            // 16-bit elements are rounded once, when they are turned

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
  std::optional<std::int64_t> sliding_window;  // cells that queries of local_layers see, their own
                                               // among them
  NormKind norm = NormKind::rms;               // every norm's
  double norm_eps = 1e-6;
  bool norms_before = true;  // of what attention and MLP read
  bool norms_after = false;  // of what they add to the stream
  QkNorm qk_norm = QkNorm::none;
  double initializer_range = 0.02;  // standard deviation of weights that are drawn
  RopeConfig rope;
  std::optional<RopeConfig> local_rope;  // of local_layers, where it is another
  std::vector<bool> local_layers;        // of sliding attention; empty: none
  bool learned_positions = false;        // added to embeddings; nothing is rotated
  bool tied_head = false;                // the embedding serves as head
  Naming naming = Naming::llama;
  bool fused = false;  // one matrix in the files for q, k and v, and one for gate and up
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool gated_mlp = true;
  Activation activation = Activation::silu;
  bool parallel_residual = false;  // the MLP reads what attention reads
  double embedding_scale = 1.0;
  double query_scalar = 0;          // scores are divided by its root; 0: head_dim
  double attention_soft_cap = 0.0;  // of scores and of logits; 0: none
  double logit_soft_cap = 0.0;
  double repetition_penalty = 1;            // that generation_config.json asks for
  std::vector<std::int32_t> eos_token_ids;  // config.json and generation_config.json, sorted
  std::string eos_token;           // as tokenizer_config.json writes it; "" where it does not
  std::string description;         // for people: family and what is unusual about it
  std::vector<std::string> notes;  // for people: what is asked for and not done

  std::int64_t kv_dim() const { return n_kv_heads * head_dim; }  // width of V: D in the docs
  std::int64_t group() const { return n_heads / n_kv_heads; }    // query heads per KV head
  double attention_scale() const;                                // of queries times keys
  bool is_local(std::int64_t layer) const;                       // of sliding attention
  std::int64_t window(std::int64_t layer) const;  // sliding_window of such a layer; 0: none
  std::int64_t rotary_dim() const;                // elements of a head that are rotated; even
};

/// "4096 positions", and why where config.json names more.
std::string positions_text(const ModelConfig& model);

/// Throws InputError of `where` when the embedding has no row for `token`.
void check_token(std::int32_t token, const ModelConfig& model, const std::string& where);

/// Reads `folder`/config.json (+ generation_config.json and tokenizer_config.json where present).
/// Throws InputError naming the file and key: missing or malformed file, unsupported architecture,
/// activation, rope type, biases, mixture of experts, quantised weights.
ModelConfig load_model_config(const std::filesystem::path& folder);

}  // namespace rvsweep
