#include "rvsweep/text/words.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

using Words = std::vector<std::string>;

TEST(Words, AreRunsOfLettersDigitsApostrophesAndBytesBeyondAscii) {
  EXPECT_EQ(words("It's 2 o'clock, (self-aware)!"),
            (Words{"it's", "2", "o'clock", "self", "aware"}));
  EXPECT_EQ(words("na\u00efve \u4e16\u754c a_b"), (Words{"na\u00efve", "\u4e16\u754c", "a", "b"}));
  EXPECT_EQ(words(std::string("a\0b", 3)), (Words{"a", "b"}));
}

TEST(Words, OfNothingAreNone) {
  EXPECT_EQ(words(""), Words{});
  EXPECT_EQ(words(" -- \n..."), Words{});
}

TEST(AsciiLower, LeavesOtherBytes) {
  EXPECT_EQ(ascii_lower("AZ[ \u00c9\u0130"), "az[ \u00c9\u0130");
}

}  // namespace
}  // namespace rvsweep
