#include "rvsweep/metrics/ngrams.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "rvsweep/core/builtin_files.hpp"

namespace rvsweep {
namespace {

TEST(CopiedNgrams, IsTheShareFoundInThePrompt) {
  EXPECT_DOUBLE_EQ(copied_ngrams("a b c d", "x a b c d y"), 1.0);
  EXPECT_DOUBLE_EQ(copied_ngrams("a b c d e", "a b c d"), 0.5);
  EXPECT_DOUBLE_EQ(copied_ngrams("a b c d", "a b c e d"), 0.0);
  EXPECT_DOUBLE_EQ(copied_ngrams("a b c d a b c d", "a b c d"), 2.0 / 5);  // repeats counted
}

TEST(CopiedNgrams, IgnoresCaseAndPunctuation) {
  EXPECT_DOUBLE_EQ(
      copied_ngrams("Notice how -- AWARENESS emerges!", "notice how awareness emerges"), 1.0);
}

TEST(CopiedNgrams, NeedsFourWordsOfTheTextOnly) {
  EXPECT_TRUE(std::isnan(copied_ngrams("a b c", "a b c d")));
  EXPECT_TRUE(std::isnan(copied_ngrams("", "")));
  EXPECT_DOUBLE_EQ(copied_ngrams("a b c d", ""), 0.0);
}

TEST(RepeatedNgrams, IsTheShareSeenBefore) {
  EXPECT_DOUBLE_EQ(repeated_ngrams("a b c d"), 0.0);
  EXPECT_DOUBLE_EQ(repeated_ngrams("a a a a a"), 0.5);
  EXPECT_DOUBLE_EQ(repeated_ngrams("a b a b a b a b"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(repeated_ngrams("A b, c d. a b c d?"), 1.0 / 5);
  EXPECT_TRUE(std::isnan(repeated_ngrams("a b c")));
}

TEST(RepeatedNgrams, TellProseFromALoop) {
  EXPECT_LT(repeated_ngrams(builtin_file("filler.txt")), 0.02);
  std::string loop = "The river rises in the hills to the north of the town and runs south. ";
  for (int i = 0; i < 5; ++i) loop += "It is the same. ";
  EXPECT_GE(repeated_ngrams(loop), repetitive_from);
}

}  // namespace
}  // namespace rvsweep
