#pragma once
// Families of models as data. What a family needs of the forward pass becomes values of
// ModelConfig, so that a family's name decides nothing elsewhere.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace rvsweep {

/// Whether a projection has a bias; by_attention_bias: where config.json's attention_bias says so.
enum class Bias { never, always, by_attention_bias };

/// Which layers see no further back than config.json's sliding_window.
enum class Window {
  none,  // whatever the key says
  all_layers,
  by_layer  // those of use_sliding_window with layer_types or, without these, max_window_layers
};

/// What families differ in. A field exists only where two of them differ in it.
struct Family {
  std::string model_type;  // in config.json
  std::string name;        // in messages
  Bias qkv_bias = Bias::never;
  Bias o_bias = Bias::never;
  Window window = Window::none;
  bool head_norms = false;  // RMSNorm of each head's queries and keys before rotation
  // Where config.json lacks the key; else n_heads, and hidden_size / n_heads.
  std::optional<std::int64_t> n_kv_heads = {}, head_dim = {};
};

/// One entry per family, the list of what rvsweep runs.
std::span<const Family> all_families();

/// The family of a model_type; null where none has it.
const Family* find_family(const std::string& model_type);

/// What refusals advise: "rvsweep runs dense Llama, ... and ... models".
std::string supported_families();

}  // namespace rvsweep
