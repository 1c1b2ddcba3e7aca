#include "tokenizer/unicode_version.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(UnicodeVersion, LeavesOldTextAsItIs) {
  const std::string text = "caf\u00e9 \u4e2d\u6587 \U0001F600";
  EXPECT_EQ(with_stand_ins(text, UnicodeVersion::v16), text);
}

TEST(UnicodeVersion, ALetterThatChangedItsCategory) {
  // U+0295, small until Unicode 16, without case since.
  EXPECT_EQ(with_stand_ins("\u0295", UnicodeVersion::v16), "\u0250");
  EXPECT_EQ(with_stand_ins("\u0295", UnicodeVersion::v17), "\u01BB");
}

TEST(UnicodeVersion, ReplacesNewCharactersInPlace) {
  // U+1C89 and U+1C8A (a capital and a small letter of Unicode 16), U+10D40 (a digit).
  EXPECT_EQ(with_stand_ins("a\u1C89b\u1C8A", UnicodeVersion::v16), "a\u1E00b\u1E01");
  EXPECT_EQ(with_stand_ins("\U00010D40!", UnicodeVersion::v16), "\U0001D7CE!");
}

TEST(UnicodeVersion, WhatIsNewerIsUnassigned) {
  // U+11DE0 is a digit of Unicode 17.
  EXPECT_EQ(with_stand_ins("\U00011DE0", UnicodeVersion::v17), "\U0001D7CE");
  EXPECT_EQ(with_stand_ins("\U00011DE0", UnicodeVersion::v16), "\U0001FFFF");
}

TEST(UnicodeVersion, EveryCharacterKeepsItsLength) {
  for (const auto version : {UnicodeVersion::v16, UnicodeVersion::v17}) {
    for (char32_t c = 0x80; c < 0x110000; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      std::string text;
      if (c < 0x800) {
        text = {static_cast<char>(0xC0 | c >> 6)};
      } else if (c < 0x10000) {
        text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63))};
      } else {
        text = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
                static_cast<char>(0x80 | (c >> 6 & 63))};
      }
      text += static_cast<char>(0x80 | (c & 63));
      ASSERT_EQ(with_stand_ins(text, version).size(), text.size())
          << std::hex << static_cast<int>(c);
    }
  }
}

}  // namespace
}  // namespace rvsweep
