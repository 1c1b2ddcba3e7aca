#pragma once
// The notebook's behaviour score and its whole-word companion.
#include <cstdint>
#include <string_view>

namespace rvsweep {

/// How many of the 24 keywords of count_recursive_keywords (notebook, section 3.5) occur in the
/// lower-cased text as substrings: presence, not count, so 0..24, and "aware" is present wherever
/// "awareness" is.
std::int32_t keyword_count(std::string_view text);

/// How many of the 24 keywords occur in the text and not in the prompt, both lower-cased: 0..24.
std::int32_t keyword_count_new(std::string_view text, std::string_view prompt);

/// Words (text/words.hpp) equal to a keyword, per 100 words. NaN for a text without words.
double keyword_rate(std::string_view text);

}  // namespace rvsweep
