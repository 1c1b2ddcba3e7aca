#include "rvsweep/text/answers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

using ::testing::ElementsAre;

/// a, b, c, the space, the line break, some that they merge to, and every byte.
Tokenizer tokenizer_of(const std::string& normalizer) {
  std::string vocabulary =
      R"("a": 0, "b": 1, "c": 2, "\u2581": 3, "\n": 4, "\u2581a": 5, "\u2581\u2581": 6, "\n\n": 7)";
  for (int byte = 0; byte < 256; ++byte)
    vocabulary += fmt::format(R"(, "<0x{:02X}>": {})", byte, 8 + byte);
  const TemporaryFolder folder;
  folder.write(
      "tokenizer.json",
      R"({"added_tokens": [], "pre_tokenizer": null, "post_processor": null, "decoder": {"type": )"
      R"("Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": )"
      R"(" "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}, "normalizer": )" +
          normalizer + R"(, "model": {"type": "BPE", "byte_fallback": true, "merges": )" +
          R"(["\u2581 \u2581", "\u2581 a", "\n \n"], "vocab": {)" + vocabulary + "}}}");
  return Tokenizer::load(folder.path());
}
const std::string blanks =
    R"({"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"})";
const std::string space_in_front =
    R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, )" + blanks +
    "]}";

TEST(Answers, AreATextOrAList) {
  EXPECT_EQ(parse_answer(R"(" Paris")", "here"), Answer{" Paris"});
  EXPECT_EQ(parse_answer(R"(["a", " b"])", "here"), (Answer{"a", " b"}));
  EXPECT_EQ(parse_answer("null", "here"), Answer{});
  EXPECT_EQ(parse_answer("", "here"), Answer{});
  for (const Answer& answer : {Answer{}, Answer{" é\""}, Answer{"a", "b"}})
    EXPECT_EQ(parse_answer(answer_json(answer), "here"), answer);
}

TEST(Answers, OfAnotherFormAreRefusedWithTheirPlace) {
  for (const char* json : {"1", "{}", "[[]]", R"(["a", 2])", R"("")", R"("  ")", R"(["a", ""])"})
    EXPECT_TRUE(says(refusal_message([&] { parse_answer(json, "pairs.jsonl:7"); }),
                     {"pairs.jsonl:7", "no text, or blank"}))
        << json;
  EXPECT_TRUE(says(refusal_message([&] { parse_answer("[]", "pairs.jsonl:7"); }),
                   {"pairs.jsonl:7", "without any"}));
}

TEST(Answers, CountByTheirFirstTokenWithTheSpaceAsWritten) {
  for (const std::string& normalizer : {blanks, space_in_front}) {
    const Tokenizer tokenizer = tokenizer_of(normalizer);
    const AnswerTokens tokens = first_tokens({{" ab", "cb", " a", "b"}, {"ab"}}, tokenizer);
    EXPECT_THAT(tokens.source, ElementsAre(1, 2, 5)) << normalizer;
    EXPECT_THAT(tokens.base, ElementsAre(0)) << normalizer;
  }
}

TEST(Answers, ThatTheLineBreakInFrontJoinsAreRefused) {
  const auto refusal = refusal_message([] { first_tokens({{"\na"}, {}}, tokenizer_of(blanks)); });
  EXPECT_TRUE(says(refusal, {"\na", "no first token"}));
}

TEST(Answers, DifferWhereNoTokenIsShared) {
  EXPECT_TRUE((AnswerTokens{{1, 3}, {2}}.differ()));
  EXPECT_FALSE((AnswerTokens{{1, 3}, {2, 3}}.differ()));
  EXPECT_FALSE((AnswerTokens{{1}, {}}.differ()));
  EXPECT_FALSE((AnswerTokens{{}, {1}}.differ()));
}

TEST(Answers, OccurAsTheyAreWrittenButForBlanks) {
  EXPECT_TRUE(occurs_in({" Berlin", " Paris"}, "It is Paris."));
  EXPECT_TRUE(occurs_in({" Paris "}, "Paris"));
  EXPECT_FALSE(occurs_in({" Paris"}, "It is paris."));
  EXPECT_FALSE(occurs_in({}, "It is Paris."));
}

}  // namespace
}  // namespace rvsweep
