#include "tokenizer/vocabulary.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

TEST(Vocabulary, FindsTokensByBytesAndAsWritten) {
  const Vocabulary vocabulary({{"\u0120the", 4}, {"a", 0}, {"<\uFF5Cend\uFF5C>", 7}}, "vocab");
  EXPECT_EQ(vocabulary.n_tokens(), 3);
  EXPECT_EQ(vocabulary.size(), 8);
  EXPECT_EQ(vocabulary.id_of_bytes(" the"), 4);
  EXPECT_EQ(vocabulary.id_of_token("\u0120the"), 4);
  EXPECT_EQ(vocabulary.id_of_token("<\uFF5Cend\uFF5C>"), 7);
  EXPECT_EQ(vocabulary.id_of_bytes("<\uFF5Cend\uFF5C>"), std::nullopt);  // no word becomes it
  EXPECT_EQ(vocabulary.id_of_token("b"), std::nullopt);
  EXPECT_EQ(vocabulary.bytes(4), " the");
  EXPECT_EQ(vocabulary.bytes(7), "<\uFF5Cend\uFF5C>");
  for (const std::int32_t without_token : {-1, 3, 8})
    EXPECT_EQ(vocabulary.bytes(without_token), "");
}

TEST(Vocabulary, RefusesImpossibleIds) {
  EXPECT_THROW(Vocabulary({{"a", -1}}, "vocab"), InputError);
  EXPECT_THROW(Vocabulary({{"a", max_token_id + 1}}, "vocab"), InputError);
  EXPECT_THROW(Vocabulary({{"a", 1}, {"b", 1}}, "vocab"), InputError);
  EXPECT_THROW(Vocabulary({{"a", 1}, {"a", 2}}, "vocab"), InputError);
}

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
