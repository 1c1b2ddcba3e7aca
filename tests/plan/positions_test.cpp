#include "rvsweep/plan/positions.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;  // donor, base

CellMap map(const std::string& text, std::int64_t base, std::int64_t donor,
            const std::vector<std::int32_t>& keywords = {}) {
  return map_cells(parse_positions(text), base, donor, keywords);
}

Pairs cells(const CellMap& map) {
  Pairs pairs;
  for (const Cell& cell : map.cells) pairs.emplace_back(cell.donor, cell.base);
  return pairs;
}

TEST(Positions, AreWrittenAsTheyAreRead) {
  for (const std::string text :
       {"all", "first:3", "last:12", "span:0:4", "span:2:3", "bos", "not_bos", "words:itself+self"})
    EXPECT_EQ(format_positions(parse_positions(text)), text);
}

TEST(Positions, OthersAreRefused) {
  for (const std::string text :
       {"", "some", "first", "first:0", "first:-1", "first:x", "last:", "last:1:2", "span:3",
        "span:3:3", "span:4:2", "span:a:2", "keywords", "keywords:", "words:", "words:a+",
        "words:two-three", "All"})
    EXPECT_TRUE(says(refusal_message([&] { parse_positions(text); }), {"positions=" + text}))
        << text;
}

TEST(MapCells, AllTakesTheDonorsWholeCacheRightAligned) {
  EXPECT_EQ(cells(map("all", 3, 3)), (Pairs{{0, 0}, {1, 1}, {2, 2}}));
  EXPECT_EQ(cells(map("all", 2, 3)), (Pairs{{0, -1}, {1, 0}, {2, 1}}));
  EXPECT_EQ(cells(map("all", 3, 2)), (Pairs{{0, 1}, {1, 2}}));
  EXPECT_EQ(map("all", 2, 3).dropped, 0);
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

TEST(MapCells, KeywordsThatHaveNoPlaceAreDropped) {
  const CellMap words = map("words:w", 3, 5, {0, 2, 4, 5});  // token 5 is not cached
  EXPECT_EQ(cells(words), (Pairs{{2, 0}, {4, 2}}));
  EXPECT_EQ(words.dropped, 1);
  EXPECT_TRUE(map("words:w", 3, 5).cells.empty());
}

}  // namespace
}  // namespace rvsweep
