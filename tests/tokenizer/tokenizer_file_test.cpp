#include "tokenizer/tokenizer_file.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

TokenizerFile read(const std::string& content) {
  return read_tokenizer_file(sample::TokenizerFolder(content).path() / "tokenizer.json");
}

std::string refusal(const std::string& content) {
  try {
    read(content);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(TokenizerFile, TakesTheTablesOutOfTheTree) {
  const std::string content =
      R"({"a": [1, {"vocab": {"x": 1}}, -2.5, null, true], "vocab": {"y": 3},)"
      R"( "model": {"type": "BPE", "vocab": {"b": 0, "\u0120c": 12}, "merges": [["a", "b c"]],)"
      R"( "z": {"merges": []}}})";
  const TokenizerFile file = read(content);
  EXPECT_EQ(file.rest, nlohmann::json::parse(
                           R"({"a": [1, {"vocab": {"x": 1}}, -2.5, null, true], "vocab": {"y": 3},)"
                           R"( "model": {"type": "BPE", "z": {"merges": []}}})"));
  EXPECT_TRUE(file.has_vocab);
  EXPECT_TRUE(file.has_merges);
  EXPECT_EQ(file.vocab,
            (std::vector<std::pair<std::string, std::int64_t>>{{"b", 0}, {"\u0120c", 12}}));
  EXPECT_EQ(file.merges, (Pairs{{"a", "b c"}}));
  EXPECT_EQ(file.fingerprint, xxh3(content));
}

TEST(TokenizerFile, MergesMayBeOneText) {
  EXPECT_EQ(read(R"({"model": {"merges": ["#version: 0.2", "a b", "ab c"]}})").merges,
            (Pairs{{"a", "b"}, {"ab", "c"}}));
}

TEST(TokenizerFile, SaysWhereItIsMalformed) {
  EXPECT_NE(refusal("{\"model\":\n {\"vocab\" {}}}").find("line 2"), std::string::npos);
  EXPECT_NE(refusal(R"({"model": {"vocab": {"a": 1)").find("is not valid JSON"), std::string::npos);
  EXPECT_NE(refusal("").find("is not valid JSON"), std::string::npos);
  EXPECT_NE(refusal("[]").find("is not a JSON object"), std::string::npos);
  for (const char* id : {"1.5", "\"1\"", "null", "{}", "[1]"})
    EXPECT_NE(refusal(R"({"model": {"vocab": {"a": 0, "bc": )" + std::string(id) + "}}}")
                  .find("model.vocab: the id of token \"bc\""),
              std::string::npos)
        << id;
  for (const char* merge : {"\"ab\"", "\"a b c\"", "[\"a\"]", "[\"a\", \"b\", \"c\"]", "7", "{}",
                            "[[\"a\", \"b\"]]", "[1, 2]"})
    EXPECT_NE(refusal(R"({"model": {"merges": ["a b", )" + std::string(merge) + "]}}")
                  .find("model.merges[1]"),
              std::string::npos)
        << merge;
}

TEST(TokenizerFile, NamesAMissingFile) {
  try {
    read_tokenizer_file("/nowhere/tokenizer.json");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.where(), "/nowhere/tokenizer.json");
    EXPECT_NE(std::string(error.what()).find("does not exist"), std::string::npos);
  }
}

}  // namespace
}  // namespace rvsweep
