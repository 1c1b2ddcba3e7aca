#include "rvsweep/tokenizer/tokenize_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

std::string run(const std::string& input, bool json, TokenizeTo what) {
  static const Tokenizer tokenizer = [] {
    nlohmann::json content = sample::tokenizer_json({{"a", "b"}});
    content["added_tokens"] = {sample::added_token(257, "<e>", true)};
    return sample::load(content);
  }();
  std::istringstream in(input);
  std::ostringstream out;
  EXPECT_EQ(tokenize_stream(tokenizer, in, out, json, what), 0);
  return out.str();
}

std::string refusal(const std::string& input, bool json, TokenizeTo what) {
  return refusal_message([&] { run(input, json, what); });
}

TEST(TokenizeStream, PlainLines) {
  EXPECT_EQ(run("ab\n\n\"a\"\nlast<e>", false, TokenizeTo::ids),
            "[256]\n[]\n[34,97,34]\n[108,97,115,116,257]\n");
}

TEST(TokenizeStream, JsonLines) {
  EXPECT_EQ(run("\"a\\nb\\u0000\"\n\"\"\n", true, TokenizeTo::ids), "[97,10,98,0]\n[]\n");
}

TEST(TokenizeStream, Spans) {
  EXPECT_EQ(run("\"ab<e>\u00e9\"\n", true, TokenizeTo::spans),
            "[[256,0,2],[257,2,5],[195,5,6],[169,6,7]]\n");
}

TEST(TokenizeStream, Decodes) {
  EXPECT_EQ(run("[256, 10, 257, 228]\n[]\n", true, TokenizeTo::text), "\"ab\\n\uFFFD\"\n\"\"\n");
}

TEST(TokenizeStream, NamesTheMalformedLine) {
  for (const char* line : {"ab", "12", "[\"a\"]", "", "\"\\ud800\""})
    EXPECT_EQ(refusal("\"ok\"\n" + std::string(line) + "\n", true, TokenizeTo::ids),
              "input line 2: is not a JSON string");
  for (const char* line : {"\"a\"", "[1.5]", "[-1]", "[4294967296]", "[[1]]", "[1", "{}"})
    EXPECT_EQ(refusal("[1]\n[2]\n" + std::string(line), true, TokenizeTo::text),
              "input line 3: is not a JSON array of token ids")
        << line;
  EXPECT_THAT(refusal("ok\n\xFF", false, TokenizeTo::ids), ::testing::StartsWith("input line 2: "));
}

TEST(TokenizeStream, SaysThatItsOutputFails) {
  const Tokenizer tokenizer = sample::load(sample::tokenizer_json());
  std::istringstream in("a\n");
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_THROW(tokenize_stream(tokenizer, in, out, false, TokenizeTo::ids), OutputError);
}

}  // namespace
}  // namespace rvsweep
