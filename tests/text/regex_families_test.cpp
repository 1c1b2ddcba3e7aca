#include "rvsweep/text/regex_families.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rvsweep/core/builtin_files.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using nlohmann::json;

const RegexFamilies& shipped() {
  static const RegexFamilies families =
      parse_regex_families(std::string(builtin_file("regex_families.json")), "regex_families.json");
  return families;
}

const RegexFamily& family(const std::string& name) {
  const auto& all = shipped().families;
  return *std::find_if(all.begin(), all.end(), [&](const auto& f) { return f.name == name; });
}

json one_family() {
  return {{"name", "recursive_x"},
          {"description", "about x"},
          {"patterns", {"x+", "xyz"}},
          {"matches", {"an x"}},
          {"no_match", {"a y"}}};
}

RegexFamily parsed(const json& description, int version = 1) {
  const json file{{"version", version}, {"families", {description}}};
  return parse_regex_families(file.dump(), "mine.json").families.at(0);
}

std::string refusal(const std::string& text) {
  return refusal_message([&] { parse_regex_families(text, "mine.json"); });
}

std::string refusal_of(const json& description) {
  return refusal(json{{"version", 1}, {"families", {description}}}.dump());
}

TEST(ShippedFamilies, AreSixWithExamples) {
  std::vector<std::string> names;
  for (const RegexFamily& one : shipped().families) {
    names.push_back(one.name);
    EXPECT_GE(one.matches.size(), 5u) << one.name;
    EXPECT_GE(one.no_match.size(), 5u) << one.name;
    EXPECT_GE(one.description.size(), 30u) << one.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"recursive_tautology", "recursive_self_reference",
                                             "recursive_paradox", "recursive_abstract",
                                             "technical_technical", "technical_definitional"}));
}

TEST(ShippedFamilies, MatchTheirExamplesAndEveryPatternHasOne) {
  for (const RegexFamily& one : shipped().families) {
    for (const auto& sentence : one.matches) EXPECT_GT(one.count(sentence), 0) << sentence;
    for (const auto& sentence : one.no_match) EXPECT_EQ(one.count(sentence), 0) << sentence;
    for (std::size_t p = 0; p < one.patterns.size(); ++p)
      EXPECT_TRUE(std::any_of(
          one.matches.begin(), one.matches.end(),
          [&](const auto& sentence) { return !one.patterns[p].matches(sentence).empty(); }))
          << one.name << ", pattern " << p;
  }
}

struct Sentence {
  const char* family;
  const char* text;
  int count;
};

// Counted by hand.
TEST(ShippedFamilies, CountWhatOtherSentencesHold) {
  const std::vector<Sentence> sentences{
      {"recursive_tautology", "Thought is thought, and THE THINKER IS THE THOUGHT", 1},
      {"recursive_tautology", "Change is only change. The seeker is the seeking.", 2},
      {"recursive_tautology", "The meaning of the meaning is being within being.", 2},
      {"recursive_tautology", "The baker is the best in town, and bread is good.", 0},
      {"recursive_tautology", "", 0},
      {"recursive_self_reference", "I am aware that I watch myself, as I write.", 3},
      {"recursive_self_reference", "This sentence is short; it refers to itself.", 2},
      {"recursive_self_reference", "Self-awareness, self observation, SELF-REFERENCE", 3},
      {"recursive_self_reference", "As an AI system I'm processing my own output.", 3},
      {"recursive_self_reference", "The cat washed itself and I was watching.", 0},
      {"recursive_paradox", "A paradox: it is both whole and not whole.", 2},
      {"recursive_paradox", "An endless loop, paradoxically without beginning and end.", 3},
      {"recursive_paradox", "Observer and observed are not separate, but one.", 1},
      {"recursive_paradox", "Not two movements but one.", 1},
      {"recursive_paradox", "Both eggs and flour are needed, neither warm nor cold.", 0},
      {"recursive_abstract", "Consciousness is the ground of being: infinite, timeless.", 4},
      {"recursive_abstract", "The self dissolves into pure knowing and stillness.", 3},
      {"recursive_abstract", "Mix the flour with water until it is smooth.", 0},
      {"technical_technical", "Bake 35 minutes at 180 degrees with 2 cups of flour.", 3},
      {"technical_technical", "The compiler reads the syntax; import numpy; a vector.", 4},
      {"technical_technical", "It weighs 3kg and is 2.5 m long, 40% water.", 3},
      {"technical_technical", "In 1455 the first printed book appeared in Mainz.", 0},
      {"technical_definitional", "Condensation is a process of cooling, also called dew.", 1},
      {"technical_definitional", "It is commonly known as Python, i.e. a language.", 2},
      {"technical_definitional", "Yeast is the kind that rises; it consists of cells.", 2},
      {"technical_definitional", "We walked home and he called his friends.", 0},
  };
  for (const Sentence& one : sentences)
    EXPECT_EQ(family(one.family).count(one.text), one.count) << one.family << ": " << one.text;
}

TEST(ShippedFamilies, FindNothingRecursiveInTheFiller) {
  for (const RegexFamily& one : shipped().families) {
    const bool is_recursive = one.name.starts_with("recursive_");
    EXPECT_TRUE(!is_recursive || one.count(builtin_file("filler.txt")) == 0) << one.name;
  }
}

TEST(RegexFamily, CountsEveryPlaceOnceWhateverPatternsMatchThere) {
  const RegexFamily x = parsed(one_family());
  EXPECT_EQ(x.count("x xx XYZ"), 3);
  EXPECT_EQ(x.count("axyz"), 1);  // both patterns begin there
  auto overlapping = one_family();
  overlapping["patterns"] = {"a b", "b c", "c d e", "c"};
  overlapping["matches"] = overlapping["no_match"] = json::array();
  EXPECT_EQ(parsed(overlapping).count("a b c d e"), 2);  // "a b", "c d e"
}

TEST(RegexFamily, HasADefinitionWithItsVersionAndPatterns) {
  EXPECT_EQ(parsed(one_family(), 7).definition.find("recursive_x/7: "), 0u);
  EXPECT_THAT(parsed(one_family()).definition, HasSubstr("\nx+\nxyz"));
  EXPECT_EQ(parsed(one_family()).description, "about x");
}

TEST(RegexFamilies, KeepTheirText) {
  EXPECT_EQ(shipped().text, builtin_file("regex_families.json"));
}

TEST(RegexFamilies, NeedNoExamples) {
  auto bare = one_family();
  bare.erase("matches");
  bare.erase("no_match");
  EXPECT_EQ(parsed(bare).count("x"), 1);
}

TEST(RegexFamilies, AMalformedPatternIsNamedWithPcresMessageAndOffset) {
  auto bad = one_family();
  bad["patterns"][1] = "ab(c";
  EXPECT_TRUE(says(refusal_of(bad), {"mine.json, family recursive_x, pattern \"ab(c\": ",
                                     "missing closing parenthesis", "at byte 4"}));
  bad["patterns"][1] = "x*";
  EXPECT_TRUE(says(refusal_of(bad), {"family recursive_x, pattern \"x*\"", "the empty text"}));
}

TEST(RegexFamilies, AFileThatContradictsItselfIsRefused) {
  auto bad = one_family();
  bad["matches"].push_back("nothing");
  EXPECT_TRUE(says(refusal_of(bad), {"family recursive_x", "\"nothing\" has no match"}));
  bad = one_family();
  bad["no_match"].push_back("an X");
  EXPECT_TRUE(says(refusal_of(bad), {"family recursive_x", "\"an X\" has a match"}));
}

TEST(RegexFamilies, WhatIsMissingOrUnknownIsNamed) {
  EXPECT_TRUE(says(refusal("{"), {"mine.json", "not valid JSON", "byte"}));
  EXPECT_TRUE(says(refusal("[]"), {"mine.json", "not an object"}));
  EXPECT_TRUE(says(refusal(R"({"families": []})"), {"mine.json", "\"version\""}));
  EXPECT_TRUE(says(refusal(R"({"version": 0, "families": []})"), {"\"version\""}));
  EXPECT_TRUE(says(refusal(R"({"version": 1, "families": []})"), {"families", "no family"}));
  EXPECT_TRUE(says(refusal(R"({"version": 1})"), {"families", "not a list"}));
  EXPECT_TRUE(says(refusal(R"({"version": 1, "familys": []})"), {"did you mean families?"}));
  for (const char* key : {"name", "description", "patterns"}) {
    auto bad = one_family();
    bad.erase(key);
    EXPECT_TRUE(says(refusal_of(bad), {key, "has no"})) << key;
    bad[key] = 3;
    EXPECT_TRUE(says(refusal_of(bad), {std::string("families[0].") + key, "is not a"})) << key;
  }
  auto bad = one_family();
  bad["matchs"] = json::array();
  EXPECT_TRUE(says(refusal_of(bad), {"families[0]", "\"matchs\"", "did you mean matches?"}));
}

TEST(RegexFamilies, ANameThatIsNoColumnIsRefused) {
  for (const char* name : {"recursive_", "tokens", "recursive_A", "technical_a-b", ""}) {
    auto bad = one_family();
    bad["name"] = name;
    EXPECT_TRUE(says(refusal_of(bad), {"cannot name a family", "technical_"})) << name;
  }
  const json file{{"version", 1}, {"families", {one_family(), one_family()}}};
  EXPECT_TRUE(says(refusal(file.dump()), {"recursive_x twice"}));
}

}  // namespace
}  // namespace rvsweep
