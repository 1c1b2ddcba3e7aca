#include "rvsweep/metrics/malformed.hpp"

#include <gtest/gtest.h>

namespace rvsweep {
namespace {

TEST(IsMalformed, WhereBytesAreNoCharacter) {
  EXPECT_TRUE(is_malformed("a\uFFFDb", false));
  EXPECT_TRUE(is_malformed("ab\uFFFD", false));
  EXPECT_FALSE(is_malformed("na\u00EFve", false));
  EXPECT_FALSE(is_malformed("", false));
}

TEST(IsMalformed, NotWhereTheLastCharacterIsCut) {
  EXPECT_FALSE(is_malformed("ab\uFFFD\uFFFD", true));
  EXPECT_TRUE(is_malformed("a\uFFFDb\uFFFD", true));
}

}  // namespace
}  // namespace rvsweep
