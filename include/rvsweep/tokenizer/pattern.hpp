#pragma once
// A regular expression of tokenizer.json, matched as Oniguruma would.
#include "rvsweep/tokenizer/regex.hpp"
#include "tokenizer/unicode_version.hpp"

namespace rvsweep {

/// Immutable after construction; copies share the compiled expression; safe to use from several
/// threads.
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
