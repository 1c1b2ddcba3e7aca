#include "tokenizer/decoder.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

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
    try {
      decoded(component, {}, symbols);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal(sequence({fuse, {{"type", "WordPiece"}}})).find("decoders[1]: WordPiece"),
            std::string::npos);
  EXPECT_NE(refusal({{"type", "ByteLevel"}}).find("decoder: ByteLevel"), std::string::npos);
  EXPECT_NE(refusal(fuse, Symbols::bytes).find("decoder: Fuse"), std::string::npos);
  EXPECT_NE(refusal(strip(0, 1)).find("Strip at the end is not supported"), std::string::npos);
  EXPECT_NE(refusal({{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}})
                .find("decoder.start: is not a whole number"),
            std::string::npos);
  EXPECT_NE(refusal({{"type", "Strip"}, {"content", ""}, {"start", 1}, {"stop", 0}})
                .find("decoder.content: is empty"),
            std::string::npos);
  EXPECT_NE(refusal(nullptr).find("decoder: null"), std::string::npos);
}

}  // namespace
}  // namespace rvsweep
