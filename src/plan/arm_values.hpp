#pragma once
// Values of an arm's settings, read from their texts. All throw InputError (message only) for what
// is no value.
#include <cstdint>
#include <string>
#include <vector>

namespace rvsweep {

/// The most of model.window, window= and each:k.
constexpr std::int64_t longest_window_tokens = 4096;

/// all, which is empty, or some of n_heads joined by +; ascending.
std::vector<std::int64_t> parse_heads(const std::string& text, std::int64_t n_heads);

/// 0..1.
double parse_alpha(const std::string& text);

/// SOURCE_GROUP~BASE_GROUP, as it is.
std::string parse_pairs(const std::string& text);

/// 1..longest_window_tokens.
std::int64_t parse_window(const std::string& text);

}  // namespace rvsweep
