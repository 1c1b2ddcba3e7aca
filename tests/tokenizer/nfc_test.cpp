#include "tokenizer/nfc.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

AlignedText nfc(std::string_view text) {
  AlignedText result(text, 0);
  to_nfc(result);
  return result;
}

TEST(Nfc, ACharacterComesFromAllThatItWasComposedOf) {
  const AlignedText text = nfc("xe\u0301y");
  EXPECT_EQ(text.text, "x\u00E9y");
  EXPECT_EQ(text.origin, (std::vector<Span>{{0, 1}, {1, 4}, {1, 4}, {4, 5}}));
}

TEST(Nfc, PutsMarksInOrderWithTheirOrigins) {
  // Acute above (class 230), then dot below (class 220): the dot composes, the acute stays.
  const AlignedText text = nfc("q\u0301\u0323");
  EXPECT_EQ(text.text, "q\u0323\u0301");
  EXPECT_EQ(text.origin, (std::vector<Span>{{0, 1}, {3, 5}, {3, 5}, {1, 3}, {1, 3}}));
  EXPECT_EQ(nfc("a\u0301\u0323").text, "\u1EA1\u0301");
}

TEST(Nfc, DecomposesForGoodWhatMustNotBeComposed) {
  EXPECT_EQ(nfc("\u212B").text, "\u00C5");
  EXPECT_EQ(nfc("\u0958").text, "\u0915\u093C");
  EXPECT_EQ(nfc("\u0958").origin.back(), (Span{0, 3}));
}

TEST(Nfc, ComposesHangul) { EXPECT_EQ(nfc("\u1112\u1161\u11AB").text, "\uD55C"); }

TEST(Nfc, WhatIsNewerThanUnicode9KeepsItsPlace) {
  EXPECT_EQ(nfc("a\u0897\u0323").text, "a\u0897\u0323");
  EXPECT_EQ(nfc("\U00011938").text, "\U00011938");
  EXPECT_EQ(nfc("\U00011935\U00011930").text, "\U00011935\U00011930");
}

TEST(Nfc, LeavesOtherTextAlone) {
  for (const char* text : {"", "abc", "\u00E9", "\u4E2D\u6587"}) EXPECT_EQ(nfc(text).text, text);
}

}  // namespace
}  // namespace rvsweep
