#include "tokenizer/normalizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using nlohmann::json;

AlignedText normalized(const json& component, std::string_view text) {
  AlignedText result(text, 10);
  Normalizer({component, "tokenizer.json", "normalizer"}).apply(result);
  return result;
}

json replace(const char* pattern, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

const json mistral = {
    {"type", "Sequence"},
    {"normalizers", {{{"type", "Prepend"}, {"prepend", "_"}}, replace(" ", "__")}}};

TEST(Normalizer, KnowsWhereEachByteComesFrom) {
  const AlignedText text = normalized(mistral, "a b");
  EXPECT_EQ(text.text, "_a__b");
  EXPECT_EQ(text.origin, (std::vector<Span>{{10, 10}, {10, 11}, {11, 12}, {11, 12}, {12, 13}}));
  EXPECT_EQ(text.view().original(0, 2), (Span{10, 11}));
}

TEST(Normalizer, ReplacesFromTheLeft) {
  EXPECT_EQ(normalized(replace("aa", "b"), "aaa").text, "ba");
  EXPECT_EQ(normalized(replace("aa", "b"), "aaa").origin, (std::vector<Span>{{10, 12}, {12, 13}}));
  EXPECT_EQ(normalized(replace("a", ""), "aba").text, "b");
  EXPECT_EQ(normalized(replace("a", ""), "a").text, "");
}

TEST(Normalizer, NothingStaysNothing) { EXPECT_EQ(normalized(mistral, "").text, ""); }

TEST(Normalizer, RefusesByName) {
  const auto refusal = [](const json& component) {
    return refusal_message([&] { normalized(component, ""); });
  };
  EXPECT_THAT(refusal({{"type", "Lowercase"}}), HasSubstr("normalizer: normalizer Lowercase"));
  EXPECT_THAT(refusal({{"type", "Replace"}, {"pattern", {{"Regex", "x"}}}, {"content", ""}}),
              HasSubstr("normalizer.pattern: a regular expression is not supported"));
  EXPECT_THAT(refusal(replace("", "x")), HasSubstr("pattern.String: is empty"));
  EXPECT_THAT(refusal({{"type", "Prepend"}}), HasSubstr("normalizer.prepend: is not a text"));
  EXPECT_THAT(refusal({{"type", "Sequence"}}), HasSubstr("normalizer.normalizers: is not a list"));
}

}  // namespace
}  // namespace rvsweep
