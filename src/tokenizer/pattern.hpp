#pragma once
// The regular expressions of tokenizer.json are written for Oniguruma; here PCRE2 runs them.
#include "rvsweep/tokenizer/regex.hpp"
#include "tokenizer/unicode_version.hpp"

namespace rvsweep {

/// `pattern` rewritten so that PCRE2 (UTF, UCP, newline LF) matches what Oniguruma matches: \s, \d,
/// \w and their negations become the character classes Oniguruma gives them. Throws InputError
/// naming `where` and the construct when the two libraries read it differently or it is not known
/// here (anchors, back references, nested and intersected classes, options other than (?i:...),
/// properties other than general categories).
std::string pcre2_from_oniguruma(std::string_view pattern, const std::string& where);

/// A Regex that is matched as Oniguruma would.
class Pattern {
 public:
  /// Throws InputError naming `where` for an expression that is malformed or not supported.
  Pattern(std::string_view oniguruma, const std::string& where,
          UnicodeVersion version = UnicodeVersion::v16);

  /// As Regex::matches, characters having the classes of `version`.
  std::vector<Span> matches(std::string_view text) const;

 private:
  Regex regex_;
  UnicodeVersion version_;
};

}  // namespace rvsweep
