#pragma once
// What config.json says of positions: rotations, windows, and how far both reach.
#include "model_config/families.hpp"
#include "rvsweep/core/json_place.hpp"

namespace rvsweep {

inline const char* const see_original = "see the model's original config.json";

/// Member `key`, itself an object, whose errors name the file and then the key.
inline JsonPlace section(const JsonPlace& place, const std::string& key) {
  return {place.value[key], place.file + " " + key, "", place.advice};
}

/// Fills rotations, learned positions and the sliding window of `m`, whose sizes are known. Throws
/// InputError naming file and key for what is not supported, or what transformers 4 and 5 read
/// differently.
void read_positions(const JsonPlace& config, const Family& family, ModelConfig& m);

}  // namespace rvsweep
