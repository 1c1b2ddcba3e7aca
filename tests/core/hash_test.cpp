#include "rvsweep/core/hash.hpp"

#include <gtest/gtest.h>

#include <string>

namespace rvsweep {
namespace {

std::string counting_bytes(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i % 251));
  return bytes;
}

// One input for each of XXH3's ways by length (0, 1-3, 4-8, 9-16, 17-128, 129-240, beyond), values
// from the Python package xxhash.
TEST(Xxh3, GivesTheKnownValues) {
  EXPECT_EQ(xxh3(""), 0x2d06800538d394c2u);
  EXPECT_EQ(xxh3("a"), 0xe6c632b61e964e1fu);
  EXPECT_EQ(xxh3("abc"), 0x78af5f94892f3950u);
  EXPECT_EQ(xxh3("rvsweep"), 0xacc4c22f0443fdc4u);
  EXPECT_EQ(xxh3("participation"), 0xc7c6a3037c79a21cu);
  EXPECT_EQ(xxh3("01234567890123456789012345678901234567890123456789"), 0x09673f25dfd69709u);
  EXPECT_EQ(xxh3(counting_bytes(200)), 0xf42a8864feaf0703u);
  EXPECT_EQ(xxh3(counting_bytes(3000)), 0x1b846747012c24aau);
}

TEST(Xxh3Fields, IsTheHashOfTheFieldsWithNulBetweenThem) {
  EXPECT_EQ(xxh3_fields({"ab", "c"}), 0x6e8e5ea3e8f78b4du);
  EXPECT_EQ(xxh3_fields({"ab", "", "c"}), 0x3d64ab43842fba8du);
  EXPECT_EQ(xxh3_fields({"abc"}), xxh3("abc"));
}

TEST(Xxh3Fields, TellsWhereFieldsEnd) {
  EXPECT_NE(xxh3_fields({"ab", "c"}), xxh3_fields({"a", "bc"}));
  EXPECT_NE(xxh3_fields({"ab", "c"}), xxh3_fields({"abc", ""}));
  EXPECT_NE(xxh3_fields({"", "abc"}), xxh3_fields({"abc", ""}));
  EXPECT_NE(xxh3_fields({"abc"}), xxh3_fields({"abc", ""}));
}

TEST(Hex, IsSixteenLowerCaseDigits) {
  EXPECT_EQ(hex(0), "0000000000000000");
  EXPECT_EQ(hex(0xabcdef0123456789u), "abcdef0123456789");
  EXPECT_EQ(hex(~std::uint64_t{0}), "ffffffffffffffff");
  EXPECT_EQ(hex(10), "000000000000000a");
}

TEST(Hasher, GivesTheSameHashHoweverTheStreamIsCut) {
  const std::string bytes = counting_bytes(3000);
  for (const std::size_t cut : {1u, 7u, 64u, 255u, 1024u, 2999u}) {
    Hasher hasher;
    for (std::size_t begin = 0; begin < bytes.size(); begin += cut)
      hasher.update(std::string_view(bytes).substr(begin, cut));
    EXPECT_EQ(hasher.digest(), xxh3(bytes)) << cut << " bytes at a time";
  }
  EXPECT_EQ(Hasher().digest(), xxh3(""));
}

}  // namespace
}  // namespace rvsweep
