#include "tokenizer/pre_tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using Words = std::vector<std::string>;

Words cut(const nlohmann::json& component, std::string_view text, Symbols symbols = Symbols::bytes,
          std::size_t offset = 0) {
  Words words;
  PreTokenizer({component, "tokenizer.json", "pre_tokenizer"}, symbols)
      .for_each_word(AlignedText(text, offset).view(),
                     [&](AlignedView word) { words.emplace_back(word.text); });
  return words;
}

std::string refusal(const nlohmann::json& component) {
  return refusal_message([&] { cut(component, ""); });
}

nlohmann::json byte_level(bool use_regex, bool add_prefix_space = false) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

nlohmann::json sequence(nlohmann::json first, nlohmann::json second) {
  return {{"type", "Sequence"}, {"pretokenizers", {first, second}}};
}

nlohmann::json split(const nlohmann::json& pattern, const char* behavior, bool invert) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", invert}};
}

TEST(PreTokenizer, Gpt2Words) {
  EXPECT_EQ(cut(byte_level(true), "I'm  here, it's 2024!\n\n x"),
            (Words{"I", "'m", " ", " here", ",", " it", "'s", " 2024", "!", "\n\n", " x"}));
  EXPECT_EQ(cut(byte_level(true), "I'M"), (Words{"I", "'", "M"}));  // only lower case
  EXPECT_EQ(cut(byte_level(false), "I'm  here"), (Words{"I'm  here"}));
  EXPECT_EQ(cut(byte_level(true), ""), Words{});
}

TEST(PreTokenizer, APrefixSpaceWhereThereIsNone) {
  EXPECT_EQ(cut(byte_level(true, true), "a b"), (Words{" a", " b"}));
  EXPECT_EQ(cut(byte_level(true, true), " a b"), (Words{" a", " b"}));
  EXPECT_EQ(cut(byte_level(false, true), "\na"), (Words{" \na"}));
  EXPECT_EQ(cut(byte_level(true, true), ""), Words{});
  // Every piece gets one, not the first alone.
  EXPECT_EQ(
      cut(sequence(split({{"String", "|"}}, "Removed", false), byte_level(false, true)), "a|b"),
      (Words{" a", " b"}));
}

TEST(PreTokenizer, Digits) {
  const nlohmann::json one_by_one = {{"type", "Digits"}, {"individual_digits", true}};
  const nlohmann::json together = {{"type", "Digits"}, {"individual_digits", false}};
  EXPECT_EQ(cut(sequence(one_by_one, byte_level(true)), "in 2024a"),
            (Words{"in", " ", "2", "0", "2", "4", "a"}));
  EXPECT_EQ(cut(sequence(together, byte_level(true)), "in 2024a"), (Words{"in", " ", "2024", "a"}));
  EXPECT_EQ(cut(sequence(one_by_one, byte_level(false)), "x\u0663\u00BD\u2167"),
            (Words{"x", "\u0663", "\u00BD", "\u2167"}));
}

TEST(PreTokenizer, DigitsAreThoseOfUnicode17) {
  const nlohmann::json together = {{"type", "Digits"}, {"individual_digits", false}};
  // U+11DE0 is a digit of Unicode 17, which the regular expression does not know yet.
  EXPECT_EQ(cut(sequence(together, byte_level(true)), "1\U00011DE0a"),
            (Words{"1", "\U00011DE0", "a"}));
  EXPECT_EQ(cut(sequence(together, byte_level(false)), "1\U00011DE0a"),
            (Words{"1\U00011DE0", "a"}));
}

TEST(PreTokenizer, SplitKeepsOrRemoves) {
  const auto words = [](const nlohmann::json& pattern, const char* behavior, bool invert) {
    return cut(sequence(split(pattern, behavior, invert), byte_level(false)), "a-b--c");
  };
  EXPECT_EQ(words({{"Regex", "-"}}, "Isolated", false), (Words{"a", "-", "b", "-", "-", "c"}));
  EXPECT_EQ(words({{"Regex", "-+"}}, "Isolated", true), (Words{"a", "-", "b", "--", "c"}));
  EXPECT_EQ(words({{"Regex", "-"}}, "Removed", false), (Words{"a", "b", "c"}));
  EXPECT_EQ(words({{"Regex", "-"}}, "Removed", true), (Words{"-", "-", "-"}));
  EXPECT_EQ(words({{"String", "--"}}, "Removed", false), (Words{"a-b", "c"}));
}

TEST(PreTokenizer, SplitJoinsMatchesWithWhatIsBesideThem) {
  const auto words = [](const char* pattern, const char* behavior, bool invert = false) {
    return cut(sequence(split({{"Regex", pattern}}, behavior, invert), byte_level(false)),
               "-a-b--c");
  };
  EXPECT_EQ(words("-", "MergedWithPrevious"), (Words{"-", "a-", "b-", "-", "c"}));
  EXPECT_EQ(words("-", "MergedWithNext"), (Words{"-a", "-b", "-", "-c"}));
  EXPECT_EQ(words("-", "Contiguous"), (Words{"-", "a", "-", "b", "--", "c"}));
  EXPECT_EQ(words("-", "MergedWithPrevious", true), (Words{"-a", "-b", "-", "-c"}));
}

TEST(PreTokenizer, PunctuationIsAsciisAndUnicode8s) {
  const nlohmann::json marks = {{"type", "Punctuation"}, {"behavior", "Isolated"}};
  EXPECT_EQ(cut(sequence(marks, byte_level(false)), "a$b\u3002c\u166Dd\u2E4Ae\u00B1"),
            (Words{"a", "$", "b", "\u3002", "c", "\u166D", "d\u2E4Ae\u00B1"}));
}

// The second byte of U+00B2 is written as the character for the superscript, which is a number.
TEST(PreTokenizer, BehindByteLevelBytesAreCharacters) {
  const nlohmann::json together = {{"type", "Digits"}, {"individual_digits", false}};
  EXPECT_EQ(cut(sequence(byte_level(false), together), "a12\u00B2b"),
            (Words{"a", "12", "\xC2", "\xB2", "b"}));
  EXPECT_EQ(cut(sequence(byte_level(false), split({{"Regex", "[0-9]{3}"}}, "Isolated", false)),
                "a 12345"),
            (Words{"a ", "123", "45"}));
}

TEST(PreTokenizer, ALiteralIsNotARegex) {
  EXPECT_EQ(
      cut(sequence(split({{"String", "(.*"}}, "Removed", false), byte_level(false)), "abc(.*d"),
      (Words{"abc", "d"}));
}

TEST(PreTokenizer, RefusesByName) {
  EXPECT_THAT(refusal(nullptr), HasSubstr("pre_tokenizer: null"));
  EXPECT_THAT(refusal({{"type", "Metaspace"}}),
              HasSubstr("pre_tokenizer: Metaspace is not supported"));
  EXPECT_THAT(refusal({{"type", "Digits"}, {"individual_digits", true}}),
              HasSubstr("without ByteLevel"));
  EXPECT_THAT(refusal(sequence(byte_level(true), byte_level(true))),
              HasSubstr("pretokenizers[1]: ByteLevel is not supported"));
  EXPECT_THAT(refusal(sequence({{"type", "Whitespace"}}, byte_level(true))),
              HasSubstr("pretokenizers[0]: Whitespace"));
  EXPECT_THAT(refusal(sequence(split({{"Regex", "x"}}, "Merged", false), byte_level(true))),
              HasSubstr("behavior: Merged is not supported"));
  EXPECT_THAT(refusal({{"add_prefix_space", true}}),
              HasSubstr("pre_tokenizer.type: is not a text"));
  EXPECT_THAT(refusal({{"type", "ByteLevel"}}), HasSubstr("pre_tokenizer.add_prefix_space"));
  EXPECT_THAT(refusal(sequence(split({{"Regex", "\\h"}}, "Isolated", false), byte_level(true))),
              HasSubstr("pretokenizers[0].pattern: the regular expression"));
}

TEST(PreTokenizer, MetaspaceMarksSpaces) {
  const auto words = [](const char* scheme, bool split, const char* text, std::size_t offset = 0) {
    const nlohmann::json metaspace = {
        {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", scheme}, {"split", split}};
    return cut(metaspace, text, Symbols::characters, offset);
  };
  EXPECT_EQ(words("always", true, "a  b"), (Words{"_a", "_", "_b"}));
  EXPECT_EQ(words("always", false, " a b"), Words{"_a_b"});
  EXPECT_EQ(words("first", false, "a b"), Words{"_a_b"});
  EXPECT_EQ(words("first", false, "a b", 3), Words{"a_b"});
  EXPECT_EQ(words("never", true, "a b"), (Words{"a", "_b"}));
  EXPECT_EQ(words("always", true, ""), Words{});
  EXPECT_EQ(cut(nullptr, "a b", Symbols::characters), Words{"a b"});
}

TEST(PreTokenizer, RefusesMetaspaceOfAnotherSort) {
  const auto refusal_of = [](const char* more) {
    nlohmann::json metaspace = {{"type", "Metaspace"}, {"replacement", "_"}};
    metaspace.merge_patch(nlohmann::json::parse(more));
    return refusal_message([&] { cut(metaspace, "", Symbols::characters); });
  };
  for (const auto& [more, message] :
       {std::pair(R"({"prepend_scheme": "last"})", "prepend_scheme: last is not supported"),
        std::pair(R"({"replacement": ""})", "replacement: is empty"),
        std::pair(R"({"add_prefix_space": false})", "add_prefix_space is false"),
        std::pair(R"({"split": 1})", "split: is neither true nor false"),
        std::pair(R"({"type": "ByteLevel"})", "ByteLevel with byte_fallback is not supported")})
    EXPECT_THAT(refusal_of(more), HasSubstr(message)) << more;
}

}  // namespace
}  // namespace rvsweep
