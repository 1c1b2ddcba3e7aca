#include "tokenizer/template_processor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};

json special(const char* name) { return {{"SpecialToken", {{"id", name}, {"type_id", 0}}}}; }

json processing(const json& single) {
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", json::array()},
          {"special_tokens",
           {{"<b>", {{"id", "<b>"}, {"ids", {7}}, {"tokens", {"<b>"}}}},
            {"<e>", {{"id", "<e>"}, {"ids", {8, 9}}, {"tokens", {"<e>", "!"}}}}}}};
}

SpecialTokenTemplate read(const json& component) {
  return read_post_processor({component, "tokenizer.json", "post_processor"});
}

std::string refusal(const json& component) {
  return refusal_message([&] { read(component); });
}

TEST(TemplateProcessor, PutsTokensAroundTheText) {
  const SpecialTokenTemplate both =
      read(processing(json::array({special("<b>"), text, special("<e>")})));
  EXPECT_EQ(both.before, Ids{7});
  EXPECT_EQ(both.after, (Ids{8, 9}));
  const SpecialTokenTemplate none = read(processing(json::array({text})));
  EXPECT_TRUE(none.before.empty() && none.after.empty());
}

TEST(TemplateProcessor, NullAndByteLevelAddNothing) {
  for (const json& component : {json(), json{{"type", "ByteLevel"}}}) {
    const SpecialTokenTemplate result = read(component);
    EXPECT_TRUE(result.before.empty() && result.after.empty());
  }
}

TEST(TemplateProcessor, ASequenceWithOneTemplate) {
  const json begin = processing(json::array({special("<b>"), text}));
  EXPECT_EQ(read({{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, begin}}}).before,
            Ids{7});
  EXPECT_THAT(refusal({{"type", "Sequence"}, {"processors", {begin, begin}}}),
              HasSubstr("processors[1]: a second"));
}

TEST(TemplateProcessor, RefusesByName) {
  EXPECT_THAT(refusal({{"type", "BertProcessing"}}),
              HasSubstr("post_processor: BertProcessing is not supported"));
  EXPECT_THAT(refusal(processing(json::array({special("<b>")}))), HasSubstr("without the text"));
  EXPECT_THAT(refusal(processing(json::array({text, text}))), HasSubstr("more than one text"));
  EXPECT_THAT(refusal(processing(json::array({special("<x>"), text}))),
              HasSubstr("special_tokens.<x>"));
}

}  // namespace
}  // namespace rvsweep
