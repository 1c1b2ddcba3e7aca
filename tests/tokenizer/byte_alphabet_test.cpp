#include "tokenizer/byte_alphabet.hpp"

#include <gtest/gtest.h>

#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

TEST(ByteAlphabet, EveryByteHasItsCharacter) {
  for (int byte = 0; byte < 256; ++byte) {
    const TokenBytes parsed = bytes_of_token(sample::written(static_cast<unsigned char>(byte)));
    EXPECT_TRUE(parsed.in_alphabet);
    EXPECT_EQ(parsed.bytes, std::string(1, static_cast<char>(byte)));
  }
}

TEST(ByteAlphabet, KnownTokens) {
  EXPECT_EQ(bytes_of_token("\u0120the").bytes, " the");
  EXPECT_EQ(bytes_of_token("\u010A\u0109").bytes, "\n\t");
  EXPECT_EQ(bytes_of_token("\u00E4\u00B8\u0143").bytes, "\xE4\xB8\xAD");
}

TEST(ByteAlphabet, OtherTokensStandForThemselves) {
  const TokenBytes parsed = bytes_of_token("<\uFF5Cend\u2581of\uFF5C>");
  EXPECT_FALSE(parsed.in_alphabet);
  EXPECT_EQ(parsed.bytes, "<\uFF5Cend\u2581of\uFF5C>");
  EXPECT_FALSE(bytes_of_token("with space").in_alphabet);
  EXPECT_FALSE(bytes_of_token("\u0144").in_alphabet);  // one behind the last
}

}  // namespace
}  // namespace rvsweep
