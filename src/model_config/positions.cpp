#include "model_config/positions.hpp"

#include <algorithm>
#include <cmath>

namespace rvsweep {
namespace {

double above_0(const JsonPlace& rope, const std::string& key) {
  const auto value = rope.get<double>(key);
  if (!(value > 0)) throw InputError(rope.where(), "\"" + key + "\" is not above 0", see_original);
  return value;
}

/// What yarn multiplies cos and sin by.
double yarn_scale(const JsonPlace& rope, double factor) {
  const auto of = [&](double weight) {
    return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1;
  };
  if (rope.has("attention_factor")) return rope.get<double>("attention_factor");
  const auto m = rope.get<double>("mscale", 0), all = rope.get<double>("mscale_all_dim", 0);
  return m != 0 && all != 0 ? of(m) / of(all) : of(1);
}

/// The rotation that `rope` describes; theta and share of `usual` where it does not give its own.
RopeConfig rope_of(const JsonPlace& rope, const Family& family, const RopeConfig& usual) {
  if (!rope.value.is_object()) throw InputError(rope.where(), "is not a JSON object", see_original);
  for (const auto& [key, value] : rope.value.items())
    if (value.is_object()) rope.refuse("a rotation of its own for " + key, supported_families());
  RopeConfig result;
  result.theta = rope.get<double>("rope_theta", usual.theta);
  result.share = rope.get<double>("partial_rotary_factor", usual.share);
  if (result.share != 1 && !family.honours.contains("partial_rotary_factor"))
    rope.refuse("partial_rotary_factor other than 1", supported_families());
  const auto type = rope.get<std::string>("rope_type", rope.get<std::string>("type", "default"));
  const char* const original = "original_max_position_embeddings";
  // dynamic differs from default beyond max_position_embeddings alone, which no row exceeds.
  if (type == "default" || type == "dynamic") return result;
  if (type == "linear") {
    result.type = RopeType::linear;
    result.factor = above_0(rope, "factor");
  } else if (type == "llama3") {
    result.type = RopeType::llama3;
    result.factor = above_0(rope, "factor");
    result.low_freq_factor = rope.get<double>("low_freq_factor");
    result.high_freq_factor = rope.get<double>("high_freq_factor");
    result.original_max_position_embeddings = rope.get<double>(original);
  } else if (type == "yarn") {
    result.type = RopeType::yarn;
    result.factor = above_0(rope, "factor");
    result.beta_fast = rope.get<double>("beta_fast", 32);
    result.beta_slow = rope.get<double>("beta_slow", 1);
    result.truncate = rope.get<bool>("truncate", true);
    result.scale = yarn_scale(rope, result.factor);
    result.original_max_position_embeddings = above_0(rope, original);
  } else if (type == "longrope" || type == "su") {
    result.type = RopeType::longrope;
    result.divisors = rope.get<std::vector<double>>("short_factor");
    result.scale = rope.get<double>("attention_factor", 0);  // 0: see read_longrope
  } else {
    rope.refuse("rope type \"" + type + "\"",
                "supported are default, linear, dynamic, llama3, yarn and longrope");
  }
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

/// transformers 5 has everything in rope_parameters, 4 has rope_theta and rope_scaling. `kind`: of
/// layers, which have a rotation of their own in some families.
RopeConfig read_rope(const JsonPlace& config, const Family& family, const std::string& kind = "") {
  RopeConfig usual{.theta = config.get<double>("rope_theta", 10000.0),
                   .share = config.get<double>("partial_rotary_factor", 1.0)};
  if (usual.share != 1 && !family.honours.contains("partial_rotary_factor"))
    config.refuse("partial_rotary_factor other than 1", supported_families());
  RopeConfig rope = usual;
  if (config.has("rope_parameters")) {
    const JsonPlace all = section(config, "rope_parameters");
    const JsonPlace parameters = all.value.contains(kind) ? section(all, kind) : all;
    rope = rope_of(parameters, family, usual);
    refuse_two_readings(config,
                        config.has("rope_theta") && !family.defaults.contains("rope_theta") &&
                            rope.theta != usual.theta,
                        "rope_theta and rope_parameters");
    if (config.has("rope_scaling"))
      refuse_two_readings(config, rope_of(section(config, "rope_scaling"), family, rope) != rope,
                          "rope_scaling and rope_parameters");
  } else if (config.has("rope_scaling")) {
    rope = rope_of(section(config, "rope_scaling"), family, usual);
  }
  const char* const original = "original_max_position_embeddings";
  refuse_two_readings(config,
                      rope.type == RopeType::llama3 && config.has(original) &&
                          config.get<double>(original) != rope.original_max_position_embeddings,
                      std::string(original) + " and that of the rotation");
  return rope;
}

/// longrope within the original context alone, where its frequencies are those of short_factor.
void read_longrope(const JsonPlace& config, ModelConfig& m) {
  const std::int64_t original = config.positive("original_max_position_embeddings");
  if (std::ssize(m.rope.divisors) != m.rotary_dim() / 2)
    throw InputError(config.where(), "short_factor does not fit the elements that are rotated",
                     see_original);
  const double longer = static_cast<double>(m.max_positions) / static_cast<double>(original);
  if (m.rope.scale == 0)
    m.rope.scale =
        longer <= 1 ? 1 : std::sqrt(1 + std::log(longer) / std::log(static_cast<double>(original)));
  m.max_positions = std::min(m.max_positions, original);
}

/// Whether each layer is one of sliding attention.
std::vector<bool> read_local_layers(const JsonPlace& config, const Family& family,
                                    std::int64_t n_layers) {
  std::vector<bool> local(static_cast<std::size_t>(n_layers), family.window == Window::all_layers);
  const bool by_type = family.window == Window::by_type;
  if (family.window == Window::by_use && !config.get<bool>("use_sliding_window", false))
    return local;
  if (!by_type && family.window != Window::by_use) return local;
  const auto pattern = config.has("sliding_window_pattern")
                           ? config.positive("sliding_window_pattern")
                           : n_layers + 1;
  const auto first = config.get<std::int64_t>("max_window_layers", 28);
  for (std::int64_t layer = 0; layer < n_layers; ++layer)
    local[layer] = by_type ? (layer + 1) % pattern != 0 : layer >= first;
  if (!config.has("layer_types")) return local;
  const auto types = config.get<std::vector<std::string>>("layer_types");
  if (types.size() != local.size())
    throw InputError(config.where(), "layer_types does not name num_hidden_layers layers",
                     see_original);
  for (std::size_t layer = 0; layer < types.size(); ++layer)
    local[layer] = types[layer] == "sliding_attention";
  return local;
}

}  // namespace

void read_positions(const JsonPlace& config, const Family& family, ModelConfig& m) {
  m.learned_positions = family.learned_positions;
  const bool rotates_locally = family.honours.contains("rope_local_base_freq");
  std::vector<bool> local = read_local_layers(config, family, m.n_layers);
  if (std::ranges::count(local, true) > 0 && config.has("sliding_window"))
    m.sliding_window = config.positive("sliding_window");
  if (m.sliding_window || rotates_locally) m.local_layers = std::move(local);
  if (family.learned_positions) return;
  if (rotates_locally) {
    m.rope = read_rope(config, family, "full_attention");
    m.local_rope = config.has("rope_parameters")
                       ? read_rope(config, family, "sliding_attention")
                       : RopeConfig{.theta = config.get<double>("rope_local_base_freq")};
  } else {
    m.rope = read_rope(config, family);
  }
  m.rope.in_float32 = family.rotates_in_float32;
  if (m.local_rope) m.local_rope->in_float32 = family.rotates_in_float32;
  const std::int64_t rotated = m.rotary_dim();
  if (rotated < 2 || rotated > m.head_dim || rotated % 2 != 0)
    throw InputError(config.where(),
                     std::to_string(rotated) +
                         " elements of a head (head_dim) cannot be rotated: "
                         "the number is odd or beyond the head",
                     supported_families());
  if (m.rope.type == RopeType::longrope) read_longrope(config, m);
}

}  // namespace rvsweep
