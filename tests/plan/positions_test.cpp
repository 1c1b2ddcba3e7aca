#include "rvsweep/plan/positions.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;  // donor, base

CellMap map(const std::string& text, std::int64_t base, std::int64_t donor,
            const std::vector<std::int32_t>& keywords = {}) {
  return map_cells(parse_positions(text), base, donor, {keywords, {}});
}

Pairs cells(const CellMap& map) {
  Pairs pairs;
  for (const Cell& cell : map.cells) pairs.emplace_back(cell.donor, cell.base);
  return pairs;
}

TEST(Positions, AreWrittenAsTheyAreRead) {
  for (const std::string text : {"all", "first:3", "last:12", "span:0:4", "span:2:3", "bos",
                                 "not_bos", "words:itself+self", "span:place", "span:_a-1:last"})
    EXPECT_EQ(format_positions(parse_positions(text)), text);
}

TEST(Positions, OthersAreRefused) {
  for (const std::string text : {"",
                                 "some",
                                 "first",
                                 "first:0",
                                 "first:-1",
                                 "first:x",
                                 "last:",
                                 "last:1:2",
                                 "span:3",
                                 "span:3:3",
                                 "span:4:2",
                                 "span:a:2",
                                 "keywords",
                                 "keywords:",
                                 "words:",
                                 "words:a+",
                                 "words:two-three",
                                 "All",
                                 "span:",
                                 "span:1a",
                                 "span:place:first",
                                 "span:place:last:1"})
    EXPECT_TRUE(says(refusal_message([&] { parse_positions(text); }), {"positions=" + text}))
        << text;
}

TEST(MapCells, AllTakesTheDonorsWholeCacheRightAligned) {
  EXPECT_EQ(cells(map("all", 3, 3)), (Pairs{{0, 0}, {1, 1}, {2, 2}}));
  EXPECT_EQ(cells(map("all", 2, 3)), (Pairs{{0, -1}, {1, 0}, {2, 1}}));
  EXPECT_EQ(cells(map("all", 3, 2)), (Pairs{{0, 1}, {1, 2}}));
  EXPECT_EQ(map("all", 2, 3).dropped, 0);
}

TEST(MapCells, AllOfASiteLeavesOutWhatBaseHasNoTokenFor) {
  const CellMap longer = map_cells(parse_positions("all"), 2, 3, {}, /*replaces=*/false);
  EXPECT_EQ(cells(longer), (Pairs{{1, 0}, {2, 1}}));
  EXPECT_EQ(longer.dropped, 1);
}

TEST(Positions, EachStandsForSingleCellsCountedFromTheEnd) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(expand_positions("each:2", 16), (Texts{"span:0:1", "span:1:2"}));
  EXPECT_EQ(expand_positions("each", 3), (Texts{"span:0:1", "span:1:2", "span:2:3"}));
  EXPECT_EQ(expand_positions("last:2", 3), (Texts{"last:2"}));
  for (const std::string text : {"each:0", "each:x", "each:", "each:1:2"})
    EXPECT_TRUE(says(refusal_message([&] { expand_positions(text, 3); }), {text})) << text;
}

TEST(MapCells, LastAndSpanCountFromTheEnd) {
  EXPECT_EQ(cells(map("last:2", 5, 7)), (Pairs{{5, 3}, {6, 4}}));
  EXPECT_EQ(cells(map("last:9", 2, 3)), (Pairs{{1, 0}, {2, 1}}));
  EXPECT_EQ(cells(map("span:1:3", 5, 7)), (Pairs{{4, 2}, {5, 3}}));
  EXPECT_EQ(cells(map("span:1:3", 5, 2)), (Pairs{{0, 3}}));
  EXPECT_TRUE(map("span:5:9", 5, 9).cells.empty());
}

TEST(MapCells, FirstAndBosAreLeftAligned) {
  EXPECT_EQ(cells(map("first:2", 5, 7)), (Pairs{{0, 0}, {1, 1}}));
  EXPECT_EQ(cells(map("first:9", 2, 3)), (Pairs{{0, 0}, {1, 1}}));
  EXPECT_EQ(cells(map("bos", 5, 7)), (Pairs{{0, 0}}));
}

TEST(MapCells, NotBosKeepsBasesFirstCell) {
  EXPECT_EQ(cells(map("not_bos", 3, 3)), (Pairs{{1, 1}, {2, 2}}));
  const CellMap longer = map("not_bos", 3, 5);  // donor 1 and 2 would land on base -1 and 0
  EXPECT_EQ(cells(longer), (Pairs{{3, 1}, {4, 2}}));
  EXPECT_EQ(longer.dropped, 2);
  EXPECT_EQ(cells(map("not_bos", 5, 3)), (Pairs{{1, 3}, {2, 4}}));
}

TEST(MapCells, NamedSpansAreAlignedAtTheirEnds) {
  const auto map = [](const std::string& text, const ChosenTokens& tokens) {
    return map_cells(parse_positions(text), 10, 12, tokens);
  };
  const ChosenTokens longer{{3, 4, 5}, {7, 8}}, shorter{{4}, {6, 7, 8}}, uncached{{11, 12}, {8}};
  EXPECT_EQ(cells(map("span:a", longer)), (Pairs{{4, 7}, {5, 8}}));
  EXPECT_EQ(map("span:a", longer).dropped, 1);
  EXPECT_EQ(cells(map("span:a", shorter)), (Pairs{{4, 8}}));
  EXPECT_EQ(map("span:a", shorter).dropped, 0);
  EXPECT_EQ(cells(map("span:a:last", longer)), (Pairs{{5, 8}}));
  EXPECT_EQ(map("span:a:last", longer).dropped, 0);
  EXPECT_EQ(cells(map("span:a", uncached)), (Pairs{{11, 8}}));
  EXPECT_TRUE(map("span:a", {{3}, {}}).cells.empty());
}

TEST(MapCells, KeywordsThatHaveNoPlaceAreDropped) {
  const CellMap words = map("words:w", 3, 5, {0, 2, 4, 5});  // token 5 is not cached
  EXPECT_EQ(cells(words), (Pairs{{2, 0}, {4, 2}}));
  EXPECT_EQ(words.dropped, 1);
  EXPECT_TRUE(map("words:w", 3, 5).cells.empty());
}

}  // namespace
}  // namespace rvsweep
