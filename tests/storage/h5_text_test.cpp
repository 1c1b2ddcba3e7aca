#include "storage/h5_text.hpp"

#include <gtest/gtest.h>

namespace rvsweep::h5 {
namespace {

TEST(StorableText, KeepsWellFormedText) {
  const std::string text = "a é ß \u0800 \uD7FF \uE000 \uFFFD \U00010000 \U0010FFFF 🙂\n\t\x7f";
  EXPECT_EQ(storable_text(text), text);
  EXPECT_EQ(storable_text(""), "");
}

TEST(StorableText, ShowsNulInsteadOfEndingThere) {
  EXPECT_EQ(storable_text(std::string("a\0b\0", 4)), "a\u2400b\u2400");
}

TEST(StorableText, ReplacesEveryByteThatIsNotUtf8) {
  const std::string bad = "\uFFFD";
  EXPECT_EQ(storable_text("a\x80z"), "a" + bad + "z");                  // stray continuation
  EXPECT_EQ(storable_text("\xC3"), bad);                                // cut short
  EXPECT_EQ(storable_text("\xE2\x82z"), bad + bad + "z");               // cut short inside
  EXPECT_EQ(storable_text("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(storable_text("\xE0\x9F\xBF"), bad + bad + bad);            // overlong
  EXPECT_EQ(storable_text("\xED\xA0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(storable_text("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
  EXPECT_EQ(storable_text("\xFF"), bad);
}

}  // namespace
}  // namespace rvsweep::h5
