#pragma once
// Values of an arm's settings, read from their texts. All throw InputError (message only) for what
// is no value.
#include <cstdint>
#include <string>
#include <vector>

namespace rvsweep {

/// all, which is empty, or some of n_heads joined by +; ascending.
std::vector<std::int64_t> parse_heads(const std::string& text, std::int64_t n_heads);

/// 0..1.
double parse_alpha(const std::string& text);

/// SOURCE_GROUP~BASE_GROUP, as it is.
std::string parse_pairs(const std::string& text);

/// At least 1.
std::int64_t parse_window(const std::string& text);

}  // namespace rvsweep
