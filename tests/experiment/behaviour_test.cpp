#include "experiment/behaviour.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiment/columns.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "support/input_error.hpp"

namespace rvsweep {
namespace {

const std::string families_text = R"({"version": 1, "families": [
    {"name": "recursive_x", "description": "x", "patterns": ["(x+)+$", "xx"]}]})";

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
  fill_behaviour({"Notice the self, notice the self. xx xx", "notice the self"}, families, 1, rows);
  const auto whole = [&](const char* name) { return column<std::int32_t>(rows, name); };
  EXPECT_EQ(whole("keyword_count"), (std::vector<std::int32_t>{-1, 2}));
  EXPECT_EQ(whole("recursive_x"), (std::vector<std::int32_t>{-1, 2}));
  EXPECT_EQ(whole("keyword_count_new"), (std::vector<std::int32_t>{-1, 0}));
  EXPECT_EQ(whole("repetitive"), (std::vector<std::int32_t>{-1, 0}));
  EXPECT_DOUBLE_EQ(column<double>(rows, "keyword_rate")[1], 100.0 * 4 / 8);
  EXPECT_DOUBLE_EQ(column<double>(rows, "copied_ngrams")[1], 0.0);
  EXPECT_DOUBLE_EQ(column<double>(rows, "repeated_ngrams")[1], 0.0);
  EXPECT_TRUE(std::isnan(column<double>(rows, "copied_ngrams")[0]));
}

TEST_F(Behaviour, ALoopIsRepetitiveAndNothingIsNot) {
  ItemTable rows = table(true, true);
  fill_behaviour({"on and on and on and on", "on and on and"}, families, 0, rows);
  fill_behaviour({"", ""}, families, 1, rows);
  EXPECT_EQ(column<std::int32_t>(rows, "repetitive"), (std::vector<std::int32_t>{1, 0}));
  EXPECT_DOUBLE_EQ(column<double>(rows, "repeated_ngrams")[0], 2.0 / 4);
  EXPECT_DOUBLE_EQ(column<double>(rows, "copied_ngrams")[0], 2.0 / 4);
  EXPECT_TRUE(std::isnan(column<double>(rows, "repeated_ngrams")[1]));
}

TEST_F(Behaviour, FillsWhatTheTableHas) {
  ItemTable keywords = table(true, false), copying = table(false, true),
            nothing = table(false, false);
  fill_behaviour({"self xx", "self"}, families, 0, keywords);
  fill_behaviour({"self xx", "self"}, none, 0, copying);
  fill_behaviour({"self xx", "self"}, none, 0, nothing);
  EXPECT_EQ(column<std::int32_t>(keywords, "recursive_x")[0], 1);
  EXPECT_EQ(find_column<std::int32_t>(keywords, "keyword_count_new"), nullptr);
  EXPECT_EQ(column<std::int32_t>(copying, "keyword_count_new")[0], 0);
  EXPECT_EQ(find_column<std::int32_t>(copying, "keyword_count"), nullptr);
  EXPECT_EQ(find_column<std::int32_t>(nothing, "repetitive"), nullptr);
}

TEST_F(Behaviour, APatternThatGivesUpIsTold) {
  ItemTable rows = table(true, false);
  const std::string text = std::string(40, 'x') + "b";
  EXPECT_TRUE(says(refusal_message([&] {
                     fill_behaviour({text, ""}, families, 0, rows);
                   }),
                   {"family recursive_x", "cannot be searched for"}));
}

}  // namespace
}  // namespace rvsweep
