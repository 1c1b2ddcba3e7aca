#include "rvsweep/metrics/keywords.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "rvsweep/core/builtin_files.hpp"

namespace rvsweep {
namespace {

// The notebook's own test sentence: observing, awareness, aware, process, self and myself.
TEST(KeywordCount, OfTheNotebooksTestSentence) {
  EXPECT_EQ(keyword_count("I am observing myself process this question with awareness."), 6);
}

// Counts of the notebook's Python on its own prompts.
TEST(KeywordCount, OfPromptsOfTheNotebook) {
  EXPECT_EQ(keyword_count("Notice yourself generating this answer. Each word comes from mechanisms "
                          "you're experiencing. You are both the process and the awareness of the "
                          "process. The generating and the noticing of generating happen together. "
                          "From this direct experience, what is thought?"),
            11);
  EXPECT_EQ(keyword_count("Explain the process of photosynthesis in plants. Describe how sunlight, "
                          "water, and carbon dioxide are converted into glucose and oxygen."),
            1);
}

TEST(KeywordCount, IsPresenceOfSubstringsNotTheirNumber) {
  EXPECT_EQ(keyword_count("notice notice notice"), 1);
  EXPECT_EQ(keyword_count("awareness"), 2);  // aware in it
  EXPECT_EQ(keyword_count("simultaneously"), 1);
  EXPECT_EQ(keyword_count("consciousness"), 2);        // conscious
  EXPECT_EQ(keyword_count("myself and yourself"), 3);  // self
  EXPECT_EQ(keyword_count("indirectly"), 2);           // direct, directly
  EXPECT_EQ(keyword_count("generated processes"), 2);  // generate, process
  EXPECT_EQ(keyword_count("selfish shelf"), 1);
}

TEST(KeywordCount, IgnoresCaseAndFindsNothingInNothing) {
  EXPECT_EQ(keyword_count("OBSERVE, Notice: SeLf"), 3);
  EXPECT_EQ(keyword_count(""), 0);
  EXPECT_EQ(keyword_count("The printing press changed the market."), 0);
  EXPECT_EQ(keyword_count("obser\nve s-elf"), 0);
}

TEST(KeywordCount, ReachesTwentyFour) {
  EXPECT_EQ(keyword_count("observe observing awareness aware consciousness conscious process "
                          "processing experience experiencing notice noticing self itself myself "
                          "yourself generate generating emerge emerging direct directly immediate "
                          "simultaneously"),
            24);
}

TEST(KeywordCountNew, LeavesOutWhatThePromptHas) {
  const std::string text = "I am observing myself process this question with awareness.";
  EXPECT_EQ(keyword_count_new(text, ""), 6);
  EXPECT_EQ(keyword_count_new(text, "Be AWARE."), 5);        // awareness is new, aware is not
  EXPECT_EQ(keyword_count_new(text, "Awareness!"), 4);       // both are known
  EXPECT_EQ(keyword_count_new(text, "a shelf, myself"), 4);  // self and myself
  EXPECT_EQ(keyword_count_new(text, text), 0);
  EXPECT_EQ(keyword_count_new("", text), 0);
}

TEST(KeywordCount, OfTheFillerIsZero) { EXPECT_EQ(keyword_count(builtin_file("filler.txt")), 0); }

TEST(KeywordRate, IsWholeWordsPerHundred) {
  EXPECT_DOUBLE_EQ(keyword_rate("I observe my awareness processing itself"), 100.0 * 4 / 6);
  EXPECT_DOUBLE_EQ(keyword_rate("notice notice other"), 100.0 * 2 / 3);
  EXPECT_DOUBLE_EQ(keyword_rate("selfish awarenesses generated"), 0.0);
  EXPECT_DOUBLE_EQ(keyword_rate("Self."), 100.0);
}

TEST(KeywordRate, CutsWordsAtPunctuationNotAtApostrophesDigitsOrAccents) {
  EXPECT_DOUBLE_EQ(keyword_rate("self-aware"), 100.0);  // two words, both keywords
  EXPECT_DOUBLE_EQ(keyword_rate("(notice),\"direct\"!x"), 100.0 * 2 / 3);
  EXPECT_DOUBLE_EQ(keyword_rate("self's notice"), 50.0);  // self's is one other word
  EXPECT_DOUBLE_EQ(keyword_rate("self2 éself selfé self"), 25.0);
}

TEST(KeywordRate, OfATextWithoutWordsIsNaN) {
  EXPECT_TRUE(std::isnan(keyword_rate("")));
  EXPECT_TRUE(std::isnan(keyword_rate(" ... \n-!")));
}

}  // namespace
}  // namespace rvsweep
