#include "experiment/behaviour.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rvsweep/plan/result_schema.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

const std::string families_text = R"({"version": 1, "families": [
    {"name": "recursive_x", "description": "x", "patterns": ["(x+)+$", "xx"]}]})";

constexpr ColumnKey<std::int32_t> recursive_x{"recursive_x"};

struct Behaviour : ::testing::Test {
  std::vector<RegexFamily> families = parse_regex_families(families_text, "mine.json").families;

  ItemTable table(bool keywords, bool copying) {
    SweepConfig config;
    config.readouts = {.spectra_prompt = false,
                       .spectra_generated = false,
                       .keywords = keywords,
                       .copying = copying};
    return empty_table(row_columns(config, ModelConfig(), {}, keywords ? families : none), {0, 1});
  }

  const std::vector<RegexFamily> none;
};

TEST_F(Behaviour, FillsItsRowAlone) {
  ItemTable rows = table(true, true);
  fill_behaviour({{1, "Notice the self, notice the self. xx xx", "notice the self"}}, families,
                 rows);
  using Whole = std::vector<std::int32_t>;
  EXPECT_EQ(column(rows, columns::keyword_count), (Whole{-1, 2}));
  EXPECT_EQ(column(rows, recursive_x), (Whole{-1, 2}));
  EXPECT_EQ(column(rows, columns::keyword_count_new), (Whole{-1, 0}));
  EXPECT_EQ(column(rows, columns::repetitive), (Whole{-1, 0}));
  EXPECT_DOUBLE_EQ(column(rows, columns::keyword_rate)[1], 100.0 * 4 / 8);
  EXPECT_DOUBLE_EQ(column(rows, columns::copied_ngrams)[1], 0.0);
  EXPECT_DOUBLE_EQ(column(rows, columns::repeated_ngrams)[1], 0.0);
  EXPECT_TRUE(std::isnan(column(rows, columns::copied_ngrams)[0]));
}

TEST_F(Behaviour, ALoopIsRepetitiveAndNothingIsNot) {
  ItemTable rows = table(true, true);
  fill_behaviour({{0, "on and on and on and on", "on and on and"}}, families, rows);
  fill_behaviour({{1, "", ""}}, families, rows);
  EXPECT_EQ(column(rows, columns::repetitive), (std::vector<std::int32_t>{1, 0}));
  EXPECT_DOUBLE_EQ(column(rows, columns::repeated_ngrams)[0], 2.0 / 4);
  EXPECT_DOUBLE_EQ(column(rows, columns::copied_ngrams)[0], 2.0 / 4);
  EXPECT_TRUE(std::isnan(column(rows, columns::repeated_ngrams)[1]));
}

TEST_F(Behaviour, FillsWhatTheTableHas) {
  ItemTable keywords = table(true, false), copying = table(false, true),
            nothing = table(false, false);
  fill_behaviour({{0, "self xx", "self"}}, families, keywords);
  fill_behaviour({{0, "self xx", "self"}}, none, copying);
  fill_behaviour({{0, "self xx", "self"}}, none, nothing);
  EXPECT_EQ(column(keywords, recursive_x)[0], 1);
  EXPECT_EQ(find_column(keywords, columns::keyword_count_new), nullptr);
  EXPECT_EQ(column(copying, columns::keyword_count_new)[0], 0);
  EXPECT_EQ(find_column(copying, columns::keyword_count), nullptr);
  EXPECT_EQ(find_column(nothing, columns::repetitive), nullptr);
}

TEST_F(Behaviour, APatternThatGivesUpIsTold) {
  ItemTable rows = table(true, false);
  const std::string text = std::string(40, 'x') + "b";
  const auto failures = fill_behaviour({{0, text, ""}, {1, "xx", ""}}, families, rows);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_TRUE(says(failures.at(0), {"family recursive_x", "cannot be searched for"}));
  EXPECT_EQ(column(rows, recursive_x), (std::vector<std::int32_t>{-1, 1}));
}

TEST(BehaviourOfAnswers, IsWhetherTheTextHoldsOne) {
  ItemTable rows =
      empty_table(row_columns({}, ModelConfig(), {}, {}, /*has_answers=*/true), {0, 1, 2});
  fill_behaviour(
      {{0, "It is Rome.", "", {" Paris", " Rome"}}, {1, "No.", "", {" Rome"}}, {2, "", ""}}, {},
      rows);
  EXPECT_EQ(column(rows, columns::answer_in_text), (std::vector<std::int32_t>{1, 0, -1}));
}

}  // namespace
}  // namespace rvsweep
