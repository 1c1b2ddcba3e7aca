#include "rvsweep/core/json_place.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

const json tree = json::parse(R"({
  "size": 3, "share": 0.5, "name": "x", "on": true, "nothing": null, "names": ["a", "b"],
  "zero": 0, "inner": {"list": [{"id": 7}, {"id": -1}]}})");
const JsonPlace file{tree, "file.json", "", "mend it"};

TEST(JsonPlace, GivesMembersTheirTypes) {
  EXPECT_EQ(file.get<std::int64_t>("size"), 3);
  EXPECT_EQ(file.get<double>("share"), 0.5);
  EXPECT_EQ(file.get<double>("size"), 3.0);
  EXPECT_EQ(file.get<std::string>("name"), "x");
  EXPECT_TRUE(file.get<bool>("on"));
  EXPECT_EQ(file.get<Texts>("names"), (Texts{"a", "b"}));
  EXPECT_EQ(file.positive("size"), 3);
}

TEST(JsonPlace, GivesTheOtherValueWhereAMemberIsMissingOrNull) {
  EXPECT_EQ(file.get<double>("missing", 2.5), 2.5);
  EXPECT_EQ(file.get<double>("nothing", 2.5), 2.5);
  EXPECT_EQ(file.get<double>("share", 2.5), 0.5);
  EXPECT_FALSE(file.has("nothing"));
  EXPECT_TRUE(file.has("zero"));
}

TEST(JsonPlace, NamesAMemberThatIsMissingOrOfAnotherType) {
  for (const char* key : {"missing", "nothing"})
    EXPECT_EQ(refusal_message([&] { file.get<bool>(key); }),
              std::string("file.json: has no \"") + key + "\": the file is not complete");
  EXPECT_EQ(refusal_message([] { file.get<std::string>("size"); }),
            "file.json: \"size\" is 3, which has the wrong type: mend it");
  EXPECT_EQ(refusal_message([] { file.get<bool>("name", true); }),
            "file.json: \"name\" is \"x\", which has the wrong type: mend it");
  EXPECT_EQ(refusal_message([] { file.positive("zero"); }),
            "file.json: \"zero\" is 0: it must be positive");
}

TEST(JsonPlace, GivesNoNumberThatItsTypeDoesNotHold) {
  const json written = json::parse(R"({
    "whole": 32.0, "least": -9223372036854775808, "part": 2.5, "far": 1e64, "large": 4294967297,
    "unsigned": 18446744073709551615, "yes": true, "ids": [2, 4294967297], "parts": [2, 2.5]})");
  const JsonPlace place{written, "file.json", "", ""};
  EXPECT_EQ(place.get<std::int64_t>("whole"), 32);
  EXPECT_EQ(place.get<std::int64_t>("least"), INT64_MIN);
  EXPECT_EQ(place.get<std::int64_t>("large"), 4294967297);
  EXPECT_EQ(place.get<std::vector<double>>("parts"), (std::vector{2, 2.5}));
  for (const char* key : {"part", "far", "unsigned"})
    EXPECT_EQ(refusal_message([&] { place.get<std::int64_t>(key); }),
              std::string("file.json: \"") + key + "\" is " + written[key].dump() +
                  ", which has the wrong type");
  EXPECT_NE(refusal_message([&] { place.get<std::int32_t>("large"); }), "");
  for (const char* key : {"ids", "parts"})
    EXPECT_NE(refusal_message([&] { place.get<std::vector<std::int32_t>>(key); }), "");
}

TEST(JsonPlace, NamesThePathAndKeepsTheAdvice) {
  const JsonPlace list = file.member("inner").member("list");
  EXPECT_EQ(list.element(0).member("id").token_id(), 7);
  EXPECT_EQ(list.where(), "file.json, inner.list");
  EXPECT_EQ(list.element(1).member("id").where(), "file.json, inner.list[1].id");
  EXPECT_EQ(refusal_message([&] { list.element(1).member("id").count(); }),
            "file.json, inner.list[1].id: is not a whole number from 0 to 2147483647: mend it");
  EXPECT_EQ(refusal_message([&] { list.text(); }), "file.json, inner.list: is not a text: mend it");
  EXPECT_TRUE(list.element(0).member("other").is_null());
}

TEST(ParseJson, NamesTheByteWhereTextIsNoJson) {
  EXPECT_EQ(parse_json("[1]", "file"), json::array({1}));
  EXPECT_EQ(refusal_message([] { parse_json("[1,]", "file:3", "write [1]"); }),
            "file:3: is not valid JSON in UTF-8 at byte 4: write [1]");
  EXPECT_TRUE(
      says(refusal_message([] { parse_json("\"\xff\"", "file"); }), {"in UTF-8 at byte 2"}));
}

}  // namespace
}  // namespace rvsweep
