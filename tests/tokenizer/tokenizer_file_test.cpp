#include "tokenizer/tokenizer_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rvsweep/core/hash.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

TokenizerFile read(const std::string& content) {
  const TemporaryFolder folder;
  return read_tokenizer_file(folder.write("tokenizer.json", content));
}

std::string refusal(const std::string& content) {
  return refusal_message([&] { read(content); });
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
  EXPECT_THAT(refusal("{\"model\":\n {\"vocab\" {}}}"), HasSubstr("line 2"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"a": 1)"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(refusal(""), HasSubstr("is not valid JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("is not a JSON object"));
  for (const char* id : {"1.5", "\"1\"", "null", "{}", "[1]"})
    EXPECT_THAT(refusal(R"({"model": {"vocab": {"a": 0, "bc": )" + std::string(id) + "}}}"),
                HasSubstr("model.vocab: the id of token \"bc\""))
        << id;
  for (const char* merge : {"\"ab\"", "\"a b c\"", "[\"a\"]", "[\"a\", \"b\", \"c\"]", "7", "{}",
                            "[[\"a\", \"b\"]]", "[1, 2]"})
    EXPECT_THAT(refusal(R"({"model": {"merges": ["a b", )" + std::string(merge) + "]}}"),
                HasSubstr("model.merges[1]"))
        << merge;
}

TEST(TokenizerFile, NamesAMissingFile) {
  EXPECT_THAT(refusal_message([] { read_tokenizer_file("/nowhere/tokenizer.json"); }),
              ::testing::StartsWith("/nowhere/tokenizer.json: does not exist"));
}

}  // namespace
}  // namespace rvsweep
