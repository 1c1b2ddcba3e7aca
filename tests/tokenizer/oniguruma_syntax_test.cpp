#include "tokenizer/oniguruma_syntax.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::string refusal(std::string_view expression) {
  return refusal_message(
      [&] { pcre2_from_oniguruma(expression, "tokenizer.json, pre_tokenizer.pattern"); });
}

TEST(OnigurumaSyntax, CopiesWhatBothReadAlike) {
  for (const char* expression :
       {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}", "'(?i:[sdmt]|ll)",
        "a*+b+?c??|(?<=x)y(?!z)|(?>u+)(v)", "[^a-z\\]\\-\\p{^Lu}]{2,}.", "[一-龥]+", "a{3}\\.\\$"})
    EXPECT_EQ(pcre2_from_oniguruma(expression, "here"), expression);
}

TEST(OnigurumaSyntax, NamesWhatItRefuses) {
  const std::pair<const char*, const char*> cases[] = {
      {"\\h", "\\h"},  // hexadecimal digits to Oniguruma, blanks to PCRE2
      {"a\\b", "\\b"},
      {"^a", "^"},
      {"a$", "$"},
      {"(a)\\1", "\\1"},
      {"\\p{Han}", "\\p{Han}"},
      {"\\pL", "\\pL"},
      {"[\\W]", "\\W"},
      {"(?<n>a)", "(?<n"},
      {"(?m:a)", "(?m:"},
      {"(?i)a", "(?i)"},
      {"(*UTF)a", "(*"},
      {"[a&&b]", "&&"},
      {"[a[b]]", "[b"},
      {"[]a]", "[]"},
      {"[a", "[ without ]"},
      {"a{2}+", "{2}+"},
      {"a{2}?", "{2}?"},
      {"a{,3}", "{,3}"},
      {"a{x}", "{x"},
      {"(?i:a", "( without )"},
      {"(?i:\\p{L})", "(?i:\\p{L})"},
      {"(?i:ss)", "(?i:ss)"},  // sharp s to Oniguruma
      {"a\\", "\\"},
  };
  for (const auto& [expression, construct] : cases)
    EXPECT_EQ(refusal(expression)
                  .find("tokenizer.json, pre_tokenizer.pattern: the regular expression uses \"" +
                        std::string(construct)),
              0)
        << expression << ": " << refusal(expression);
}

}  // namespace
}  // namespace rvsweep
