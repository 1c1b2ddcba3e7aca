#pragma once
// Families of models as data. What a family needs of the forward pass becomes values of
// ModelConfig, so that a family's name decides nothing elsewhere.
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Whether a projection has a bias; by_attention_bias: where config.json's attention_bias says so.
enum class Bias { never, always, by_attention_bias };

/// Which layers see the cells of config.json's sliding_window alone.
enum class Window {
  none,  // whatever the key says
  all_layers,
  by_use,  // those of use_sliding_window with layer_types or, without these, max_window_layers
  by_type  // those of layer_types or, without these, all but every sliding_window_pattern-th, if
           // any
};

/// What families differ in. A field exists only where two of them differ in it.
struct Family {
  std::string model_type;  // in config.json
  std::string name;        // in messages
  Naming naming = Naming::llama;
  bool fused = false;  // one matrix in the files for q, k and v, and one for gate and up
  Bias qkv_bias = Bias::never;
  Bias o_bias = Bias::never;
  Window window = Window::none;
  QkNorm qk_norm = QkNorm::none;
  NormKind norm = NormKind::rms;
  bool norms_before = true, norms_after = false;  // of what a half reads and adds
  bool gated_mlp = true;
  bool scaled_embedding = false;       // by the root of hidden_size
  bool learned_positions = false;      // in place of rotation
  bool rotates_in_float32 = false;     // RopeConfig::in_float32
  std::set<std::string> honours = {};  // keys that have an effect in some families only
  nlohmann::json defaults = nlohmann::json::object();  // of keys that config.json may lack
  nlohmann::json aliases = nlohmann::json::object();   // its own name of a key -> Llama's
};

/// One entry per family, the list of what rvsweep runs.
std::span<const Family> all_families();

/// The family of a model_type; null where none has it.
const Family* find_family(const std::string& model_type);

/// What refusals advise: "rvsweep runs dense Llama, ... and ... models".
std::string supported_families();

}  // namespace rvsweep
