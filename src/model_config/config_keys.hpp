#pragma once
// Every key of config.json that transformers' configuration classes of our families know, and
// every setting of generation_config.json that changes which tokens are drawn.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace rvsweep {

/// Keys of a config.json that are neither read here nor known to have no effect on a forward pass:
/// transformers ignores them too, unless it is newer than tests/model_config/test_config_keys.py.
std::vector<std::string> unknown_keys(const nlohmann::json& config);

/// "min_new_tokens = 4" and the like: what a generation_config.json asks of generation that a
/// sweep does not do. What a sweep has settings for (do_sample, temperature, top_k, top_p,
/// repetition_penalty) is the sweep's.
std::vector<std::string> settings_not_applied(const nlohmann::json& generation_config);

}  // namespace rvsweep
