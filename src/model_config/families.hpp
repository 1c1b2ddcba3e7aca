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

/// What families differ in. A field exists only where two of them differ in it.
struct Family {
  std::string model_type;  // in config.json
  std::string name;        // in messages
  Bias qkv_bias = Bias::never;
  Bias o_bias = Bias::never;
  std::optional<std::int64_t> sliding_window = {};  // where config.json lacks the key
};

/// One entry per family, the list of what rvsweep runs.
std::span<const Family> all_families();

/// The family of a model_type; null where none has it.
const Family* find_family(const std::string& model_type);

/// What refusals advise: "rvsweep runs dense Llama, ... and ... models".
std::string supported_families();

}  // namespace rvsweep
