#include "rvsweep/plan/result_schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "plan/arm_forms.hpp"
#include "plan/sample_plan.hpp"

namespace rvsweep {
namespace {

using Shape = std::vector<std::int64_t>;

std::map<std::string, ColumnSpec> by_name(const std::vector<ColumnSpec>& columns) {
  std::map<std::string, ColumnSpec> result;
  for (const auto& column : columns)
    EXPECT_TRUE(result.emplace(column.name, column).second) << column.name << " twice";
  return result;
}

std::map<std::string, ColumnSpec> rows(const SweepConfig& config,
                                       const std::vector<std::string>& arms = {"base"}) {
  std::vector<ConfigValue> lines;
  for (const auto& arm : arms) lines.push_back({arm, "here"});
  RegexFamily family;
  family.name = "recursive_x";
  family.description = "x";
  family.definition = "recursive_x/1: x";
  return by_name(
      row_columns(config, sample_model(), parse_arms(lines, sample_model(), 16), {family}));
}

void expect_column(const std::map<std::string, ColumnSpec>& columns, const std::string& name,
                   ColumnType type, const Shape& shape) {
  ASSERT_TRUE(columns.contains(name)) << name;
  EXPECT_EQ(columns.at(name).type, type) << name;
  EXPECT_EQ(columns.at(name).shape, shape) << name;
}

TEST(PromptColumns, AreThoseOfTheContract) {
  const auto columns = by_name(prompt_columns(sample_config({}), sample_model()));
  expect_column(columns, "spectra", ColumnType::float32, {8, 16});
  for (const char* metric :
       {"pr", "effective_rank", "spectral_entropy", "stable_rank", "nuclear_ratio"})
    expect_column(columns, metric, ColumnType::float64, {8});
  expect_column(columns, "r_v", ColumnType::float64, {});
  for (const char* metric : {"pr_centred", "pr_corrected"})
    expect_column(columns, metric, ColumnType::float64, {8});
  for (const char* metric : {"r_v_centred", "r_v_corrected"})
    expect_column(columns, metric, ColumnType::float64, {});
  expect_column(columns, "gram_sums", ColumnType::float32, {8, 3});
  EXPECT_FALSE(columns.contains("logprob"));
  EXPECT_FALSE(columns.contains("window_pr"));
}

TEST(PromptColumns, AreMoreWithLogProbabilitiesAndSeveralWindows) {
  auto config = sample_config({});
  config.readouts.prompt_logprob = true;
  config.windows = {16, 8};
  const auto columns = by_name(prompt_columns(config, sample_model()));
  expect_column(columns, "logprob", ColumnType::float32_list, {});
  expect_column(columns, "window_pr", ColumnType::float32, {2, 8, 3});
  for (const char* name : {"window_pr_prompt", "window_pr_generated"})
    expect_column(rows(config), name, ColumnType::float32, {2, 8, 3});
}

TEST(RowColumns, AreMoreWithOtherSitesAndAttention) {
  auto config = sample_config({});
  config.readouts.spectra_sites = {Site::resid_pre};
  config.readouts.attention = {"2,50%:100%", "test"};
  config.readouts.malformed = true;
  const auto of_prompts = by_name(prompt_columns(config, sample_model())), of_rows = rows(config);
  for (const auto& [columns, name] : {std::pair(of_prompts, ""), std::pair(of_rows, "_prompt")}) {
    const auto of_site = [&](const char* column) {
      return column + (name + std::string("_resid_pre"));
    };
    expect_column(columns, of_site("spectra"), ColumnType::float32, {8, 16});
    expect_column(columns, of_site("window_pr"), ColumnType::float32, {1, 8, 3});
    expect_column(columns, of_site("r_v"), ColumnType::float64, {});
  }
  const auto heads = sample_model().n_kv_heads;
  for (const char* measure : {"bos", "donor", "base", "fed", "entropy"})
    expect_column(of_rows, std::string("attention_") + measure, ColumnType::float32, {8, heads});
  expect_column(of_rows, "malformed", ColumnType::int32, {});
}

TEST(RowColumns, HaveADistanceByLayerWhereItIsAskedFor) {
  auto config = sample_config({});
  EXPECT_FALSE(rows(config).contains("state_distance"));
  config.readouts.state_distance = {"3", "test"};
  expect_column(rows(config), "state_distance", ColumnType::float32, {8});
}

TEST(ReadoutNames, AreTheNumbersOfARowThatAStudyMayBeAbout) {
  auto config = sample_config({});
  config.readouts.forced = false;
  const auto names = readout_names(row_columns(config, sample_model(), {}, {}));
  for (const char* name : {"kl_first", "keyword_count", "r_v_generated", "r_v_prompt_corrected"})
    EXPECT_NE(std::ranges::find(names, name), names.end()) << name;
  for (const char* name : {"logprob_source", "status", "text", "change_norm", "n_generated",
                           "cells_changed", "spectra_prompt"})
    EXPECT_EQ(std::ranges::find(names, name), names.end()) << name;
}

TEST(RowColumns, AreThoseOfTheContract) {
  auto config = sample_config({});
  config.readouts.reencode = true;
  config.readouts.copying = true;
  const auto columns = rows(config);
  expect_column(columns, "status", ColumnType::status, {});
  expect_column(columns, "reason", ColumnType::utf8, {});
  expect_column(columns, "tokens", ColumnType::int32, {20});
  expect_column(columns, "n_generated", ColumnType::int32, {});
  expect_column(columns, "text", ColumnType::utf8, {});
  expect_column(columns, "stop_reason", ColumnType::utf8, {});
  expect_column(columns, "n_generated_v", ColumnType::int32, {});
  expect_column(columns, "cells_changed", ColumnType::int64, {});
  expect_column(columns, "cells_dropped", ColumnType::int64, {});
  expect_column(columns, "change_norm", ColumnType::float64, {});
  expect_column(columns, "future_keys", ColumnType::int32, {});
  expect_column(columns, "spectra_prompt", ColumnType::float32, {8, 16});
  expect_column(columns, "spectra_generated", ColumnType::float32, {8, 16});
  for (const char* r_v : {"r_v_prompt", "r_v_generated", "r_v_reencoded"})
    expect_column(columns, r_v, ColumnType::float64, {});
  expect_column(columns, "keyword_count", ColumnType::int32, {});
  expect_column(columns, "keyword_rate", ColumnType::float64, {});
  expect_column(columns, "recursive_x", ColumnType::int32, {});
  expect_column(columns, "keyword_count_new", ColumnType::int32, {});
  expect_column(columns, "copied_ngrams", ColumnType::float64, {});
  expect_column(columns, "repeated_ngrams", ColumnType::float64, {});
  expect_column(columns, "repetitive", ColumnType::int32, {});
}

TEST(RowColumns, OfReadoutsThatAreOffAreAbsent) {
  struct Case {
    bool ReadoutsConfig::*readout;
    std::set<std::string> columns;
  };
  const std::vector<Case> cases{
      {&ReadoutsConfig::spectra_prompt,
       {"spectra_prompt", "gram_sums_prompt", "r_v_prompt", "r_v_prompt_centred",
        "r_v_prompt_corrected"}},
      {&ReadoutsConfig::spectra_generated,
       {"spectra_generated", "gram_sums_generated", "r_v_generated", "r_v_generated_centred",
        "r_v_generated_corrected"}},
      {&ReadoutsConfig::keywords, {"keyword_count", "keyword_rate", "recursive_x"}},
      {&ReadoutsConfig::copying,
       {"keyword_count_new", "copied_ngrams", "repeated_ngrams", "repetitive"}},
      {&ReadoutsConfig::reencode, {"r_v_reencoded"}}};
  for (const Case& one : cases) {
    auto config = sample_config({});
    config.readouts.*one.readout = true;
    const auto with = rows(config);
    config.readouts.*one.readout = false;
    const auto without = rows(config);
    std::set<std::string> gone;
    for (const auto& [name, column] : with)
      if (!without.contains(name)) gone.insert(name);
    EXPECT_EQ(gone, one.columns);
    EXPECT_EQ(with.size(), without.size() + gone.size());
  }
}

TEST(RowColumns, OfAnswersAreThereWithAnswersAlone) {
  auto config = sample_config({});
  const auto of = [&](bool has_answers) {
    return by_name(row_columns(config, sample_model(), {}, {}, has_answers));
  };
  const std::set<std::string> logits{"logit_diff", "answer_prob_source", "answer_prob_base",
                                     "answer_rank_source", "answer_rank_base"};
  for (const std::string& name : logits) {
    EXPECT_TRUE(of(true).contains(name)) << name;
    EXPECT_NE(of(true).at(name).definition.find("/1"), std::string::npos) << name;
  }
  expect_column(of(true), "logit_diff", ColumnType::float64, {});
  expect_column(of(true), "answer_rank_base", ColumnType::int32, {});
  expect_column(of(true), "answer_in_text", ColumnType::int32, {});
  EXPECT_EQ(of(true).size(), of(false).size() + logits.size() + 1);
  config.readouts.first_token = false;
  EXPECT_EQ(of(true).size(), of(false).size() + 1);
  config.generation.max_new_tokens = 0;
  EXPECT_EQ(of(true).size(), of(false).size());
}

TEST(RowColumns, HaveTheNotebooksHookOrderOnlyWithItsPreset) {
  EXPECT_FALSE(rows(sample_config({})).contains("r_v_notebook"));
  EXPECT_FALSE(
      rows(sample_config({}), {"preset:notebook_c_v1 layers=4:8"}).contains("r_v_notebook"));
  expect_column(rows(sample_config({}), {"base", "preset:notebook_b layers=3"}), "r_v_notebook",
                ColumnType::float64, {});
}

// "Every dataset has units and description; metrics also definition", with the version of the
// definition in it.
TEST(Columns, SayWhatTheyHold) {
  auto config = sample_config({});
  config.readouts.reencode = config.readouts.copying = true;
  auto columns = rows(config, {"base", "preset:notebook_b layers=3"});
  columns.merge(by_name(prompt_columns(config, sample_model())));
  const std::set<std::string> facts{"status",        "reason",         "tokens",
                                    "n_generated",   "text",           "stop_reason",
                                    "n_generated_v", "cells_changed",  "cells_dropped",
                                    "future_keys",   "geometry_reason"};
  for (const auto& [name, column] : columns) {
    EXPECT_FALSE(column.units.empty()) << name;
    EXPECT_FALSE(column.description.empty()) << name;
    if (facts.contains(name))
      EXPECT_EQ(column.definition, "") << name;
    else
      EXPECT_NE(column.definition.find("/1"), std::string::npos) << name;
  }
}

TEST(Columns, OfOneMetricHaveOneDefinition) {
  const auto columns = rows(sample_config({}));
  const auto prompt = by_name(prompt_columns(sample_config({}), sample_model()));
  EXPECT_EQ(columns.at("r_v_prompt").definition, prompt.at("r_v").definition);
  EXPECT_EQ(columns.at("r_v_generated").definition, prompt.at("r_v").definition);
  // And two metrics never share one.
  std::set<std::string> definitions;
  for (const char* metric :
       {"pr", "effective_rank", "spectral_entropy", "stable_rank", "nuclear_ratio", "r_v"})
    definitions.insert(prompt.at(metric).definition);
  EXPECT_EQ(definitions.size(), 6u);
}

}  // namespace
}  // namespace rvsweep
