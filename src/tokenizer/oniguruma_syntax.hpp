#pragma once
// The regular expressions of tokenizer.json are written for Oniguruma; here PCRE2 runs them.
#include <string>
#include <string_view>

namespace rvsweep {

/// `pattern` rewritten so that PCRE2 (UTF, UCP, newline LF) matches what Oniguruma matches: \s, \d,
/// \w and their negations become the character classes Oniguruma gives them. Throws InputError
/// naming `where` and the construct when the two libraries read it differently or it is not known
/// here (anchors, back references, nested and intersected classes, options other than (?i:...),
/// properties other than general categories).
std::string pcre2_from_oniguruma(std::string_view pattern, const std::string& where);

}  // namespace rvsweep
