#include "rvsweep/plan/layers.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

LayerSet run(std::int64_t begin, std::int64_t end) {
  LayerSet layers(static_cast<std::size_t>(end - begin));
  std::iota(layers.begin(), layers.end(), begin);
  return layers;
}

LayerSet only(const std::string& text, std::int64_t n_layers) {
  const auto sets = parse_layer_sets(text, n_layers);
  EXPECT_EQ(sets.size(), 1u) << text;
  return sets.at(0);
}

TEST(ParseLayer, TakesNumbersAndSharesOfDepth) {
  EXPECT_EQ(parse_layer("0", 32), 0);
  EXPECT_EQ(parse_layer("31", 32), 31);
  EXPECT_EQ(parse_layer("0%", 30), 0);
  EXPECT_EQ(parse_layer("12.5%", 32), 4);
  EXPECT_EQ(parse_layer("12.5%", 30), 3);  // floor of 3.75
  EXPECT_EQ(parse_layer("75%", 32), 24);
  EXPECT_EQ(parse_layer("75%", 30), 22);  // floor of 22.5
  EXPECT_EQ(parse_layer("99.9%", 30), 29);
}

TEST(ParseLayer, RefusesWhatIsOutsideTheModel) {
  EXPECT_TRUE(says(refusal_message([] { parse_layer("32", 32); }), {"32", "layers 0 to 31"}));
  EXPECT_TRUE(says(refusal_message([] { parse_layer("100%", 30); }), {"100%", "layers 0 to 29"}));
}

TEST(ParseLayer, RefusesWhatIsNoLayer) {
  for (const std::string text : {"", "-1", "x", "3x", "1.5", " 3", "0x3", "99999999999999999999"})
    EXPECT_TRUE(says(refusal_message([&] { parse_layer(text, 32); }),
                     {"\"" + text + "\"", "write layers as"}));
  for (const std::string text : {"%", "-1%", "101%", "a%", "5%%", "nan%", "inf%"})
    EXPECT_TRUE(says(refusal_message([&] { parse_layer(text, 32); }), {"\"" + text + "\""}));
}

TEST(ParseLayerSets, TakesLayersRangesAndUnions) {
  EXPECT_EQ(only("24", 32), (LayerSet{24}));
  EXPECT_EQ(only("16:32", 32), run(16, 32));
  EXPECT_EQ(only("50%:100%", 30), run(15, 30));
  EXPECT_EQ(only("0:100%", 5), run(0, 5));
  EXPECT_EQ(only("8+2:4", 32), (LayerSet{2, 3, 8}));
  EXPECT_EQ(only("0:4+2:6", 32), run(0, 6));  // what two ranges share counts once
  LayerSet both = run(0, 8);
  for (const auto layer : run(24, 32)) both.push_back(layer);
  EXPECT_EQ(only("0:8+24:32", 32), both);
}

TEST(ParseLayerSets, MakesBandsThatLieInTheModel) {
  EXPECT_EQ(parse_layer_sets("width:4/stride:2", 9),
            (std::vector<LayerSet>{run(0, 4), run(2, 6), run(4, 8)}));
  EXPECT_EQ(parse_layer_sets("width:8/stride:8", 32),
            (std::vector<LayerSet>{run(0, 8), run(8, 16), run(16, 24), run(24, 32)}));
  EXPECT_EQ(parse_layer_sets("width:1/stride:3", 5), (std::vector<LayerSet>{{0}, {3}}));
  EXPECT_EQ(parse_layer_sets("width:5/stride:1", 5), (std::vector<LayerSet>{run(0, 5)}));
  EXPECT_EQ(parse_layer_sets("width:2/stride:9223372036854775807", 5),
            (std::vector<LayerSet>{run(0, 2)}));
}

TEST(ParseLayerSets, RefusesEmptyRanges) {
  for (const std::string text : {"8:8", "16:8", "100%:100%", "0:0", "10%:11%"})
    EXPECT_TRUE(says(refusal_message([&] { parse_layer_sets(text, 30); }), {text, "empty"}));
  EXPECT_TRUE(says(refusal_message([] { parse_layer_sets("0:8+9:9", 30); }), {"9:9", "empty"}));
}

TEST(ParseLayerSets, RefusesRangesOutsideTheModel) {
  for (const std::string text : {"16:33", "0:9223372036854775807", "40:41"})
    EXPECT_TRUE(
        says(refusal_message([&] { parse_layer_sets(text, 32); }), {text, "layers 0 to 31"}));
  EXPECT_TRUE(
      says(refusal_message([] { parse_layer_sets("3+32", 32); }), {"32", "layers 0 to 31"}));
  EXPECT_TRUE(says(refusal_message([] { parse_layer_sets("width:33/stride:1", 32); }),
                   {"width:33", "layers 0 to 31"}));
}

TEST(ParseLayerSets, RefusesWhatIsMalformed) {
  for (const std::string text :
       {"", ":", "4:", ":4", "1:2:3", "1+", "+1", "a:b", "-2:4", "1-4", "width:4", "width:4/2",
        "width:/stride:2", "width:a/stride:2", "width:4/stride:2/stride:3", "width:0/stride:1",
        "width:1/stride:0"})
    EXPECT_FALSE(refusal_message([&] { parse_layer_sets(text, 32); }).empty()) << text;
}

TEST(FormatLayers, JoinsRanges) {
  EXPECT_EQ(format_layers({24}), "24");
  EXPECT_EQ(format_layers(run(16, 32)), "16:32");
  EXPECT_EQ(format_layers({0, 1, 5, 7, 8, 9}), "0:2+5+7:10");
  EXPECT_EQ(format_layers({}), "");
}

TEST(FormatLayers, IsReadBackToTheSameLayers) {
  std::mt19937 generator(3);
  for (int trial = 0; trial < 300; ++trial) {
    std::set<std::int64_t> layers{static_cast<std::int64_t>(generator() % 32)};
    for (int i = 0; i < trial % 20; ++i) layers.insert(generator() % 32);
    const LayerSet set(layers.begin(), layers.end());
    EXPECT_EQ(only(format_layers(set), 32), set);
  }
}

}  // namespace
}  // namespace rvsweep
