#pragma once
// A regular expression run by PCRE2 over UTF-8 text.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

struct Span {
  std::size_t begin, end;  // bytes
  friend bool operator==(const Span&, const Span&) = default;
};

enum class LetterCase { matters, ignored };

/// PCRE2's syntax with Unicode's letters, digits and cases (\w, \d, \s, \b, (?i)); newline is LF.
/// Immutable after construction; copies share the compiled expression; safe to use from several
/// threads.
class Regex {
 public:
  /// Throws InputError naming `where`, PCRE2's message and the byte it concerns for a malformed
  /// expression.
  Regex(std::string_view expression, const std::string& where, LetterCase letter_case);

  /// Matches in order, without overlap; an empty one counts where it does not touch the one before.
  /// `text` must be well-formed UTF-8; look-around ends at its ends. Throws InputError when the
  /// search exceeds PCRE2's limits.
  std::vector<Span> matches(std::string_view text) const;

  /// Whether some text has an empty match, as far as PCRE2 can tell.
  bool may_match_nothing() const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace rvsweep
