#include "rvsweep/plan/config_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

const std::string required = "[model]\npath = m\n[prompts]\nfile = p\n";

/// The written texts without their places.
std::map<std::string, std::vector<std::string>> texts(const ConfigValues& values) {
  std::map<std::string, std::vector<std::string>> result;
  for (const auto& [key, written] : values)
    for (const ConfigValue& value : written) result[key].push_back(value.text);
  return result;
}

class ConfigFile : public ::testing::Test {
 protected:
  ConfigValues read(const std::string& text, const std::vector<std::string>& sets = {}) {
    return read_config({folder.write("sweep.cfg", text)}, sets);
  }
  std::string refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
    return refusal_message([&] { read(text, sets); });
  }
  std::string at(int line) const {
    return (folder.path() / "sweep.cfg").string() + ":" + std::to_string(line);
  }
  TemporaryFolder folder;
};

TEST_F(ConfigFile, KeepsValuesAndTheirPlaces) {
  const auto values = read(
      "# a sweep\n"
      "[model]\n"
      "  path = models/tiny   # a folder\n"
      "window=8\r\n"
      "\n"
      "[prompts]\n"
      "file = my prompts.jsonl\n"
      "[sweep]\n"
      "arm = kv_cache layers=16:32 align=as_is\n"
      "arm = base\n");
  EXPECT_EQ(texts(values), (std::map<std::string, std::vector<std::string>>{
                               {"model.path", {"models/tiny"}},
                               {"model.window", {"8"}},
                               {"prompts.file", {"my prompts.jsonl"}},
                               {"sweep.arm", {"kv_cache layers=16:32 align=as_is", "base"}}}));
  EXPECT_EQ(values.at("model.path")[0].where, at(3));
  EXPECT_EQ(values.at("model.window")[0].where, at(4));
  EXPECT_EQ(values.at("sweep.arm")[0].where, at(9));
  EXPECT_EQ(values.at("sweep.arm")[1].where, at(10));
}

TEST_F(ConfigFile, MayReturnToASection) {
  const auto values = read(required + "[model]\nwindow = 8\n");
  EXPECT_EQ(values.at("model.window")[0].text, "8");
  EXPECT_EQ(values.at("model.window")[0].where, at(6));
}

TEST_F(ConfigFile, LaterFilesWinKeyByKey) {
  const auto model =
      folder.write("model.cfg", "[model]\npath = m\nwindow = 8\n[sweep]\nseed = 1\n");
  const auto job = folder.write("job.cfg", "[prompts]\nfile = p\n[sweep]\nseed = 2\n");
  const auto values = read_config({model, job}, {});
  EXPECT_EQ(values.at("sweep.seed").size(), 1u);
  EXPECT_EQ(values.at("sweep.seed")[0].text, "2");
  EXPECT_EQ(values.at("sweep.seed")[0].where, job.string() + ":4");
  EXPECT_EQ(values.at("model.window")[0].text, "8");
}

TEST_F(ConfigFile, SetsWinOverFilesAndOverEarlierSets) {
  const auto values =
      read(required + "[sweep]\nseed = 2\n", {"sweep.seed=3", "model.window = 9", "sweep.seed=4"});
  EXPECT_EQ(values.at("sweep.seed").size(), 1u);
  EXPECT_EQ(values.at("sweep.seed")[0].text, "4");
  EXPECT_EQ(values.at("sweep.seed")[0].where, "--set sweep.seed");
  EXPECT_EQ(values.at("model.window")[0].text, "9");
}

TEST_F(ConfigFile, ArmLinesOfALaterSourceReplaceAllBefore) {
  const auto first = folder.write("a.cfg", required + "[sweep]\narm = base\narm = source\n");
  const auto second = folder.write("b.cfg", "[sweep]\narm = v_proj layers=1\narm = base\n");
  const std::vector<std::string> of_second{"v_proj layers=1", "base"}, of_sets{"source", "base"};
  EXPECT_EQ(texts(read_config({first, second}, {})).at("sweep.arm"), of_second);
  EXPECT_EQ(texts(read_config({first}, {"sweep.arm=source", "sweep.arm=base"})).at("sweep.arm"),
            of_sets);
}

TEST_F(ConfigFile, DefaultsAreNotFilledIn) {
  const auto values = read(required);
  EXPECT_EQ(values.size(), 2u);
  EXPECT_TRUE(values.contains("model.path") && values.contains("prompts.file"));
}

TEST_F(ConfigFile, AMissingFileOrAFolderIsRefused) {
  const auto missing = folder.path() / "none.cfg";
  EXPECT_TRUE(says(refusal_message([&] { read_config({missing}, {}); }),
                   {missing.string(), "cannot be read", "--config"}));
  EXPECT_TRUE(says(refusal_message([&] { read_config({folder.path()}, {}); }),
                   {folder.path().string(), "cannot be read"}));
}

TEST_F(ConfigFile, AMalformedLineIsNamed) {
  EXPECT_TRUE(says(refusal(required + "[sweep]\nseed 3\n"), {at(6), "key = value"}));
  EXPECT_TRUE(says(refusal("[model\npath = m\n"), {at(1)}));
  EXPECT_TRUE(says(refusal("no section\n" + required), {at(1)}));
}

TEST_F(ConfigFile, AnUnknownKeyIsNamedWithTheNearestOne) {
  EXPECT_TRUE(says(refusal("[model]\npath = m\nwindwo = 8\n"),
                   {at(3), "model.windwo", "did you mean model.window?"}));
  EXPECT_TRUE(says(refusal(required + "[generation]\ntop_p = 1\ntemprature = 0\n"),
                   {at(7), "generation.temprature", "did you mean generation.temperature?"}));
}

TEST_F(ConfigFile, AKeyInTheWrongSectionOrInNoneIsUnknown) {
  EXPECT_TRUE(says(refusal("[model]\nseed = 1\n"), {at(2), "model.seed"}));
  EXPECT_TRUE(says(refusal("seed = 1\n" + required), {at(1), "unknown key seed"}));
  EXPECT_TRUE(says(refusal(required + "[sweeps]\nseed = 1\n"),
                   {at(6), "sweeps.seed", "did you mean sweep.seed?"}));
  EXPECT_TRUE(says(refusal(required + "[sweep]\n= 1\n"), {at(6), "unknown key"}));
}

// Boost reads these sections in a way of its own.
TEST_F(ConfigFile, AnOddSectionNameIsBadInputNotADefect) {
  EXPECT_TRUE(says(refusal("[model.]\npath = m\n[prompts]\nfile = p\n"), {"sweep.cfg"}));
  EXPECT_TRUE(says(refusal("[]\npath = m\n"), {"sweep.cfg"}));
  EXPECT_TRUE(says(refusal("[ model ]\npath = m\n"), {"sweep.cfg"}));
}

TEST_F(ConfigFile, AKeyWrittenTwiceInAFileIsRefusedNamingBothPlaces) {
  EXPECT_TRUE(says(refusal(required + "[sweep]\nseed = 1\narm = base\nseed = 1\n"),
                   {at(8), "sweep.seed", at(6), "keep one"}));
  EXPECT_TRUE(says(refusal(required + "[model]\npath = other\n"), {at(6), "model.path", at(2)}));
}

TEST_F(ConfigFile, AMissingRequiredKeyIsNamed) {
  EXPECT_TRUE(says(refusal("[model]\npath = m\n"), {"prompts.file", "--set prompts.file="}));
  EXPECT_TRUE(says(refusal("[prompts]\nfile = p\n"), {"model.path"}));
  EXPECT_EQ(texts(read("[prompts]\nfile = p\n", {"model.path=m"})).at("model.path"),
            (std::vector<std::string>{"m"}));
}

TEST_F(ConfigFile, AMalformedSetIsNamed) {
  EXPECT_TRUE(says(refusal(required, {"sweep.seed"}), {"--set sweep.seed", "no '='"}));
  EXPECT_TRUE(says(refusal(required, {"sweep.sede=1"}),
                   {"--set sweep.sede=1", "unknown key", "did you mean sweep.seed?"}));
}

TEST_F(ConfigFile, DumpFillsDefaultsAndKeepsEveryArm) {
  const std::string dumped = dump_config(read(required + "[sweep]\narm = base\narm = source\n"));
  for (const ConfigKey& key : config_keys()) {
    if (key.default_value.empty()) continue;
    EXPECT_NE(
        dumped.find(key.name.substr(key.name.find('.') + 1) + " = " + key.default_value + "\n"),
        std::string::npos)
        << key.name;
  }
  EXPECT_NE(dumped.find("arm = base\narm = source\n"), std::string::npos);
  EXPECT_LT(dumped.find("[model]"), dumped.find("[prompts]"));
  EXPECT_EQ(dumped.find("title"), std::string::npos);  // a text without a default
}

TEST_F(ConfigFile, ADumpReadsBackToTheSameValues) {
  std::mt19937 generator(11);
  const std::vector<std::string> samples{
      "a",    "12.5%", "jobs/x y.jsonl", "kv_cache layers=0:8,8:16", "0.7", "é ü",
      "[x]y", "a=b",   "--set"};
  for (int trial = 0; trial < 200; ++trial) {
    ConfigValues values;
    for (const ConfigKey& key : config_keys()) {
      if (!key.required && generator() % 2 == 0) continue;
      const int count = key.repeatable ? 1 + static_cast<int>(generator() % 4) : 1;
      for (int i = 0; i < count; ++i)
        values[key.name].push_back({samples[generator() % samples.size()], "somewhere"});
    }
    const std::string dumped = dump_config(values);
    const auto back = read(dumped);
    EXPECT_EQ(dump_config(back), dumped);
    for (const auto& [key, written] : texts(values)) EXPECT_EQ(texts(back).at(key), written) << key;
  }
}

// A file ends a value at '#' or at the end of the line, so a dump could not hold such a value.
TEST_F(ConfigFile, ASetValueThatNoFileCouldHoldIsRefused) {
  EXPECT_TRUE(says(refusal(required, {"model.path=models/a#b"}), {"--set model.path", "#"}));
  EXPECT_TRUE(says(refusal(required, {"model.path=a\n[sweep]\nseed=5"}), {"--set model.path"}));
}

TEST(ConfigKeys, AreGroupedBySectionAndUnique) {
  std::vector<std::string> sections;
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    const auto section = key.name.substr(0, key.name.find('.'));
    if (sections.empty() || sections.back() != section) sections.push_back(section);
    names.push_back(key.name);
  }
  std::sort(sections.begin(), sections.end());
  EXPECT_EQ(std::adjacent_find(sections.begin(), sections.end()), sections.end());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST_F(ConfigFile, ArmsKeepTheWordsOfTheirListsAndNotTheFiles) {
  const std::string list = folder.write("words.txt", "Self\n# no\naware\n").string();
  const std::string other = folder.write("moved.txt", "aware\nself").string();
  const auto arm = [&](const std::string& file) {
    const std::string text = "kv_cache layers=1 positions=last:2,keywords:" + file + " what=v";
    return std::pair(texts(read(required + "[sweep]\narm = " + text + "\n")).at("sweep.arm").at(0),
                     texts(read(required, {"sweep.arm=" + text})).at("sweep.arm").at(0));
  };
  const std::string kept = "kv_cache layers=1 positions=last:2,words:aware+self what=v";
  EXPECT_EQ(arm(list), std::pair(kept, kept));
  EXPECT_EQ(arm(other), arm(list));
  const std::string twice = "kv_cache layers=1 positions=keywords:" + list +
                            " & kv_cache layers=2 positions=keywords:" + list;
  EXPECT_EQ(texts(read(required, {"sweep.arm=" + twice})).at("sweep.arm").at(0),
            "kv_cache layers=1 positions=words:aware+self & kv_cache layers=2 "
            "positions=words:aware+self");
  EXPECT_TRUE(says(refusal(required + "[sweep]\narm = kv_cache layers=1 positions=keywords:none\n"),
                   {"none: cannot be read"}));
}

}  // namespace
}  // namespace rvsweep
