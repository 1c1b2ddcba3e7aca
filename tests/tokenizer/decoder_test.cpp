#include "tokenizer/decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using nlohmann::json;

json sequence(const json& parts) { return {{"type", "Sequence"}, {"decoders", parts}}; }

json strip(int start, int stop) {
  return {{"type", "Strip"}, {"content", " "}, {"start", start}, {"stop", stop}};
}

const json mark_to_space = {{"type", "Replace"}, {"pattern", {{"String", "_"}}}, {"content", " "}};
const json bytes = {{"type", "ByteFallback"}}, fuse = {{"type", "Fuse"}};

std::string decoded(const json& component, const std::vector<std::string>& tokens,
                    Symbols symbols = Symbols::characters) {
  return Decoder({component, "tokenizer.json", "decoder"}, symbols).text(tokens);
}

TEST(Decoder, Mistral) {
  const json mistral = sequence({mark_to_space, bytes, fuse, strip(1, 0)});
  EXPECT_EQ(decoded(mistral, {"__a", "b_", "<0xC3>", "<0xA9>", "_c"}), " ab \u00e9 c");
  EXPECT_EQ(decoded(mistral, {}), "");
}

TEST(Decoder, BytesThatAreNotUtf8) {
  EXPECT_EQ(decoded(bytes, {"<0xC3>", "<0xA9>", "<0xC3>", "x", "<0x41>"}), "\uFFFD\uFFFD\uFFFDxA");
  EXPECT_EQ(decoded(bytes, {"<0x4>", "<0x4g>", "<0xc3>", "<0xa9>"}), "<0x4><0x4g>\u00e9");
}

TEST(Decoder, StripIsOfEveryTokenUnlessFused) {
  EXPECT_EQ(decoded(sequence(json::array({strip(1, 0)})), {"  a", " b"}), " ab");
  EXPECT_EQ(decoded(sequence({fuse, strip(9, 0)}), {"  a", " b"}), "a b");
}

TEST(Decoder, RefusesByName) {
  const auto refusal = [](const json& component, Symbols symbols = Symbols::characters) {
    return refusal_message([&] { decoded(component, {}, symbols); });
  };
  EXPECT_THAT(refusal(sequence({fuse, {{"type", "WordPiece"}}})),
              HasSubstr("decoders[1]: WordPiece"));
  EXPECT_THAT(refusal({{"type", "ByteLevel"}}), HasSubstr("decoder: ByteLevel"));
  EXPECT_THAT(refusal(fuse, Symbols::bytes), HasSubstr("decoder: Fuse"));
  EXPECT_THAT(refusal(strip(0, 1)), HasSubstr("Strip at the end is not supported"));
  EXPECT_THAT(refusal({{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}),
              HasSubstr("decoder.start: is not a whole number"));
  EXPECT_THAT(refusal({{"type", "Strip"}, {"content", ""}, {"start", 1}, {"stop", 0}}),
              HasSubstr("decoder.content: is empty"));
  EXPECT_THAT(refusal(nullptr), HasSubstr("decoder: null"));
}

}  // namespace
}  // namespace rvsweep
