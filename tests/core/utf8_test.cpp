#include "rvsweep/core/utf8.hpp"

#include <gtest/gtest.h>

namespace rvsweep::utf8 {
namespace {

const std::string mark = "\uFFFD";

TEST(Utf8, DecodesEachLength) {
  const auto expect = [](std::string_view text, char32_t code_point) {
    const Step step = first(text);
    EXPECT_TRUE(step.well_formed);
    EXPECT_EQ(step.code_point, code_point);
    EXPECT_EQ(step.size, text.size());
  };
  expect("a", U'a');
  expect("\u00e9", 0xE9);
  expect("\u4e2d", 0x4E2D);
  expect("\U0001F600", 0x1F600);
  expect("\uD7FF", 0xD7FF);
  expect("\U0010FFFF", 0x10FFFF);
  expect(std::string_view("\0", 1), 0);
}

TEST(Utf8, FindsTheFirstIllFormedByte) {
  EXPECT_EQ(first_ill_formed("caf\u00e9 \U0001F600"), std::string_view::npos);
  EXPECT_EQ(first_ill_formed("ab\x80"), 2);
  EXPECT_EQ(first_ill_formed("\u00e9\xED\xA0\x80"), 2);  // a surrogate
  EXPECT_EQ(first_ill_formed("\xC0\xAF"), 0);            // overlong
  EXPECT_EQ(first_ill_formed("\xF4\x90\x80\x80"), 0);    // beyond U+10FFFF
  EXPECT_EQ(first_ill_formed("\xE4\xB8"), 0);            // cut short
}

// The examples of the Unicode standard, section 3.9, tables 3-8 to 3-11.
TEST(Utf8, ReplacesMaximalSubparts) {
  const auto times = [](int n) {
    std::string marks;
    for (int i = 0; i < n; ++i) marks += mark;
    return marks;
  };
  EXPECT_EQ(replace_ill_formed("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), times(8) + "A");
  EXPECT_EQ(replace_ill_formed("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), times(8) + "A");
  EXPECT_EQ(replace_ill_formed("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            times(5) + "A" + times(2) + "B");
  EXPECT_EQ(replace_ill_formed("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), times(4) + "A");
}

TEST(Utf8, KeepsWellFormedText) {
  const std::string text = "a\u00e9\u4e2d\U0001F600\uFFFD";
  EXPECT_EQ(replace_ill_formed(text), text);
  EXPECT_EQ(replace_ill_formed(""), "");
}

TEST(Utf8, KnowsWhiteSpace) {
  int count = 0;
  for (char32_t c = 0; c < 0x110000; ++c) count += is_white_space(c);
  EXPECT_EQ(count, 25);
  EXPECT_FALSE(is_white_space(0x180E));  // not since Unicode 6.3
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_TRUE(is_white_space(0x3000));
}

}  // namespace
}  // namespace rvsweep::utf8
