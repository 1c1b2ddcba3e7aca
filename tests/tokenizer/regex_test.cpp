#include "rvsweep/tokenizer/regex.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

std::size_t matches(std::string_view expression, std::string_view text,
                    LetterCase letter_case = LetterCase::ignored) {
  return Regex(expression, "here", letter_case).matches(text).size();
}

TEST(Regex, IgnoresCaseWhereAskedTo) {
  EXPECT_EQ(matches("aware", "Aware AWARE aware"), 3u);
  EXPECT_EQ(matches("aware", "Aware AWARE aware", LetterCase::matters), 1u);
  EXPECT_EQ(matches("\u00fcber", "\u00dcBER"), 1u);
  EXPECT_EQ(matches(R"(\b(\w+) is \1\b)", "A rose is a ROSE. Thought is thought."), 1u);
}

TEST(Regex, KnowsLettersAndSpacesBeyondAscii) {
  EXPECT_EQ(matches(R"(\w+)", "\u00fcber \u4e16\u754c"), 2u);
  EXPECT_EQ(matches(R"(\bself\b)", "\u00e9self self\u00e9 \u2014self\u2014"), 1u);
  EXPECT_EQ(matches(R"(a\sb)", "a\u00a0b a\u3000b a\nb"), 3u);
}

TEST(Regex, GivesSpansInBytesWithoutOverlap) {
  const auto spans = Regex("aa", "here", LetterCase::matters).matches("\u00e9aaaaa");
  EXPECT_EQ(spans, (std::vector<Span>{{2, 4}, {4, 6}}));
}

TEST(Regex, SaysWhatIsWrongAndWhere) {
  EXPECT_TRUE(says(refusal_message([] { Regex("ab(c", "file, family", LetterCase::matters); }),
                   {"file, family: the regular expression is malformed (missing closing "
                    "parenthesis at byte 4)"}));
  EXPECT_TRUE(
      says(refusal_message([] { Regex("a{3,1}", "x", LetterCase::matters); }), {"at byte"}));
}

TEST(Regex, KnowsWhetherItMayMatchNothing) {
  const auto may = [](const char* expression) {
    return Regex(expression, "here", LetterCase::ignored).may_match_nothing();
  };
  for (const char* expression : {"a*", "", R"(\b)", "(?=a)", "a|"}) EXPECT_TRUE(may(expression));
  for (const char* expression : {"a", "a+b?", R"(\bx)", "(?=a)."}) EXPECT_FALSE(may(expression));
}

TEST(Regex, GivesUpWithAMessage) {
  const Regex regex("(a+)+$", "here", LetterCase::matters);
  EXPECT_TRUE(says(refusal_message([&] { regex.matches(std::string(40, 'a') + "b"); }),
                   {"here: ", "cannot be searched for in a text of 41 bytes", "match limit"}));
}

}  // namespace
}  // namespace rvsweep
