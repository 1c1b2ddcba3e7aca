#include "tokenizer/pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::vector<std::string> found(std::string_view expression, const std::string& text) {
  std::vector<std::string> parts;
  for (const Span& span : Pattern(expression, "here").matches(text))
    parts.push_back(text.substr(span.begin, span.end - span.begin));
  return parts;
}

using Parts = std::vector<std::string>;

TEST(Pattern, FindsMatchesInOrder) {
  EXPECT_EQ(found(R"(\p{L}+|\p{N}{1,3})", "ab 12345 \u00e9\u4e2d"),
            (Parts{"ab", "123", "45", "\u00e9\u4e2d"}));
  EXPECT_EQ(found("x", "abc"), Parts{});
  EXPECT_EQ(found("x", ""), Parts{});
}

TEST(Pattern, LookAroundEndsWithTheText) {
  EXPECT_EQ(found(R"(\s+(?!\S)|\s+)", "a   b  "), (Parts{"  ", " ", "  "}));
}

TEST(Pattern, EmptyMatchesCountWhereTheyTouchNoOther) {
  std::vector<Span> spans = Pattern("x*", "here").matches("axb");
  EXPECT_EQ(spans, (std::vector<Span>{{0, 0}, {1, 2}, {3, 3}}));
}

TEST(Pattern, SpaceIsWhatOnigurumaTakesForIt) {
  EXPECT_EQ(found(R"(\s)", "\u180E\u00A0\u0085").size(), 2);  // U+180E is a space to PCRE2 alone
  EXPECT_EQ(found(R"([^\S\n]+)", "a \n\u3000b"), (Parts{" ", "\u3000"}));
  EXPECT_EQ(found(R"([\s-x]+)", "w- x"), (Parts{"- x"}));
}

TEST(Pattern, NotSpaceIsEverythingElse) {
  std::string characters;
  for (int c = 1; c < 0xD800; ++c) {
    if (c >= 0x800) characters += static_cast<char>(0xE0 | c >> 12);
    if (c >= 0x80)
      characters += static_cast<char>(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xC0 | c >> 6);
    characters += static_cast<char>(c >= 0x80 ? 0x80 | (c & 63) : c);
  }
  const Parts spaces = found(R"(\s)", characters);
  EXPECT_EQ(spaces.size(), 25);
  EXPECT_EQ(found(R"([^\S])", characters), spaces);
}

TEST(Pattern, WordCharactersAreThoseOfOniguruma) {
  EXPECT_EQ(found(R"(\w+)", "a\u0301_\u203F\u24B6\u00B2"), (Parts{"a\u0301_\u203F\u24B6\u00B2"}));
  EXPECT_EQ(found(R"(\w)", "\u2070").size(), 0);  // superscript zero: a word character to PCRE2
}

TEST(Pattern, ContractionsIgnoreCase) {
  EXPECT_EQ(found("(?i:'s|'t|'re)", "'S 's '\u017F 'Re 'T").size(), 5);
}

TEST(Pattern, CharactersNewerThanPcre2HaveTheirClass) {
  EXPECT_EQ(found(R"(\p{L}+)", "a\U00031350\U00010D4Ab"), (Parts{"a\U00031350\U00010D4Ab"}));
  EXPECT_EQ(found(R"(\p{N}+)", "1\U00010D40"), (Parts{"1\U00010D40"}));
}

TEST(Pattern, LongRunsAreMatchedWhole) {
  const std::string spaces(1'000'000, ' ');
  EXPECT_EQ(found(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces), Parts{spaces});
  std::string words;
  for (int i = 0; i < 300'000; ++i) words += "ab";
  EXPECT_EQ(found("(?:ab)+", words), Parts{words});
}

TEST(Pattern, RefusesAMalformedExpression) {
  EXPECT_THAT(refusal_message([] { Pattern("(a", "tokenizer.json, pre_tokenizer"); }),
              ::testing::StartsWith(
                  "tokenizer.json, pre_tokenizer: the regular expression is malformed ("));
}

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
