#pragma once
// A regular expression of tokenizer.json, matched as Oniguruma would.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/text/unicode_version.hpp"

namespace rvsweep {

struct Span {
  std::size_t begin, end;  // bytes
  friend bool operator==(const Span&, const Span&) = default;
};

/// Immutable after construction; copies share the compiled expression; safe to use from several
/// threads.
class Pattern {
 public:
  /// Throws InputError naming `where` for an expression that is malformed or not supported.
  Pattern(std::string_view oniguruma, const std::string& where,
          UnicodeVersion version = UnicodeVersion::v16);

  /// Matches in order, without overlap; an empty one counts where it does not touch the one before.
  /// `text` must be well-formed UTF-8; look-around ends at its ends. Throws InputError when the
  /// search exceeds PCRE2's limits.
  std::vector<Span> matches(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace rvsweep
