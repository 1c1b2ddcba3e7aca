#pragma once
// What of a model's configuration decides results.
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Equal for folders that say the same in other words, as other versions of transformers write it.
std::string deciding_bytes(const ModelConfig& config);

}  // namespace rvsweep
