#include "rvsweep/tokenizer/pattern.hpp"

#include "tokenizer/oniguruma_syntax.hpp"

namespace rvsweep {

Pattern::Pattern(std::string_view oniguruma, const std::string& where, UnicodeVersion version)
    : regex_(pcre2_from_oniguruma(oniguruma, where), where, LetterCase::matters),
      version_(version) {}

std::vector<Span> Pattern::matches(std::string_view text) const {
  std::string storage;
  return regex_.matches(with_stand_ins(text, version_, storage));
}

}  // namespace rvsweep
