#include "rvsweep/text/named_spans.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using Places = std::vector<std::int32_t>;

const std::string tower = "See the na\u00EFve Eiffel Tower, the tower.";

std::string read(const std::string& json, const std::string& side = "source") {
  return read_spans(json, side, tower, "file:3");
}

TEST(NamedSpans, AreCharactersOfTheText) {
  EXPECT_EQ(read("null"), "");
  EXPECT_EQ(read(R"({"place": "Eiffel Tower"})"), R"({"place":[14,26]})");
  EXPECT_EQ(read(R"({"place": [14, 26]})", ""), R"({"place":[14,26]})");
  EXPECT_EQ(read(R"({"b": {"source": "See", "base": "none"}, "a": [0, 1]})"),
            R"({"a":[0,1],"b":[0,3]})");
  EXPECT_EQ(read(R"({"b": {"base": "See"}})"), "");  // not marked on this side
}

TEST(NamedSpans, RefuseWhatIsNoPartOfTheText) {
  const auto refusal = [](const std::string& json, const std::string& side = "source") {
    return refusal_message([&] { read(json, side); });
  };
  EXPECT_TRUE(says(refusal(R"(["place"])"), {"file:3", "spans"}));
  EXPECT_TRUE(says(refusal(R"({"place": "Louvre"})"), {"file:3", "place", "Louvre"}));
  EXPECT_TRUE(says(refusal(R"({"place": "the"})"), {"the", "several times"}));
  EXPECT_TRUE(says(refusal(R"({"place": ""})"), {"place"}));
  for (const std::string wrong :
       {"[3,3]", "[-1,3]", "[0,99]", "[1]", "[0,1.5]", "[0,18446744073709551615]", "7"})
    EXPECT_TRUE(says(refusal(R"({"place": )" + wrong + "}"), {"file:3", "place", "[begin, end)"}))
        << wrong;
  EXPECT_TRUE(says(refusal(R"({"1st": "See"})"), {"file:3", "1st", "name"}));
  EXPECT_TRUE(says(refusal(R"({"place": {"source": "See"}})", ""), {"place", "no sides"}));
  EXPECT_TRUE(
      says(refusal(R"({"place": {"sorce": "See"}})"), {"file:3", "place", "side \"sorce\""}));
}

TEST(NamedSpans, HoldTheTokensThatTheyTouch) {
  const std::string spans = R"({"place":[14,26]})";  // bytes 15 to 27
  const std::vector<Span> tokens = {{0, 0}, {0, 14}, {14, 17}, {17, 27}, {27, 29}, {15, 15}};
  EXPECT_EQ(span_tokens(spans, "place", tower, tokens), (Places{2, 3}));
  EXPECT_EQ(span_tokens(spans, "other", tower, tokens), Places{});
  EXPECT_EQ(span_tokens("", "place", tower, tokens), Places{});
  EXPECT_EQ(span_names(R"({"a":[0,1],"b":[0,3]})"), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace rvsweep
