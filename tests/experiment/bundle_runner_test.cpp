#include "rvsweep/experiment/bundle_runner.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "experiment/columns.hpp"
#include "experiment/distinct_rows.hpp"
#include "plan/arm_forms.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;

/// 64 one-letter tokens, as many as the tiny model has; `before` is what each begins with.
Tokenizer letters(const std::string& before = "") {
  const auto folder = std::filesystem::temp_directory_path() / "rvsweep_bundle_runner_test";
  std::filesystem::create_directories(folder);
  std::ofstream file(folder / "tokenizer.json");
  file << R"({"version":"1.0","added_tokens":[],"normalizer":null,"post_processor":null,)"
       << R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},)"
       << R"("decoder":{"type":"ByteLevel"},"model":{"type":"BPE","merges":[],"vocab":{)";
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,";
  for (std::size_t i = 0; i < 64; ++i)
    file << (i ? "," : "") << '"' << before << alphabet[i] << "\":" << i;
  file << "}}}";
  file.close();
  return Tokenizer::load(folder);
}

/// A bundle over two prompts and the arms as rows.
struct Study {
  Transformer model = testing::tiny_transformer();
  Tokenizer tokenizer = letters();
  SweepConfig config;
  SweepSettings settings;
  Bundle bundle;

  explicit Study(const std::vector<std::string>& arms, std::int64_t n = 20, std::int64_t m = 23) {
    std::vector<ConfigValue> lines;
    for (const auto& arm : arms) lines.push_back({arm, "test"});
    config.window = settings.window = 4;
    config.generation.max_new_tokens = 10;
    config.generation.temperature = 1.0;
    config.readouts.reencode = config.readouts.forced = config.readouts.step_trace = true;
    config.readouts.logit_lens = {"0:100%", "test"};
    settings.logit_lens_layers = {0, 1, 2, 3};
    settings.token_sets = {{1, 2}, {3}};
    settings.generation = config.generation;
    settings.readouts = config.readouts;
    settings.arms = parse_arms(lines, model.config(), 4);
    settings.early_layer = 1;
    settings.late_layer = 3;
    bundle.shape = {8, 32, 8};
    bundle.contexts = {{PromptIndex(0), some_tokens(n, 1), "base text", true},
                       {PromptIndex(1), some_tokens(m, 2), "source text", true}};
    for (std::int32_t a = 0; a < std::ssize(settings.arms); ++a) add_row(a, 0, 1);
  }

  void add_row(std::int32_t arm, std::int32_t base, std::int32_t donor) {
    BundleRow row;
    row.row = RowIndex(std::ssize(bundle.rows));
    row.arm = ArmIndex(arm);
    row.pair_hash = 99;
    const Arm& of = settings.arms[arm];
    row.base = !of.is_patched() && of.direction == Direction::base_to_source ? donor : base;
    row.donors.assign(of.patches.size(), {donor});
    row.reference = base;
    row.counterpart = donor;
    bundle.rows.push_back(row);
  }

  BundleResult run() {
    const BundleRunner runner{
        model, tokenizer, settings, prompt_columns(config, model.config()),
        row_columns(config, model.config(), settings.arms, settings.families)};
    return runner.run(bundle);
  }
};

template <class T>
std::vector<T> item(BundleResult& result, const std::string& name, std::size_t row) {
  auto& values = column<T>(result.rows, name);
  const auto width = values.size() / result.rows.index.size();
  return {values.begin() + row * width, values.begin() + (row + 1) * width};
}

void expect_all_ok(BundleResult& result) {
  for (std::size_t r = 0; r < result.rows.index.size(); ++r)
    EXPECT_EQ(column<std::int8_t>(result.rows, "status")[r], 0)
        << column<std::string>(result.rows, "reason")[r];
}

TEST(BundleRunner, SelfPatchEqualsBaseBitForBit) {
  Study study({"base", "kv_cache layers=0:4", "kv_cache layers=1:3", "v_proj layers=2",
               "v_proj layers=0", "kv_cache layers=0:4 growth=frozen"});
  for (BundleRow& row : study.bundle.rows)
    for (RowDonor& donor : row.donors) donor.index = row.base;
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto base = item<std::int32_t>(result, "tokens", 0);
  for (std::size_t r = 1; r <= 4; ++r) {
    EXPECT_EQ(item<std::int32_t>(result, "tokens", r), base) << "row " << r;
    EXPECT_EQ(column<double>(result.rows, "change_norm")[r] < 1e-4, true);
    EXPECT_NEAR(column<double>(result.rows, "kl_first")[r], 0, 1e-9) << "row " << r;
    EXPECT_GT(column<std::int64_t>(result.rows, "cells_changed")[r], 0);
  }
  EXPECT_EQ(item<float>(result, "spectra_generated", 1),
            item<float>(result, "spectra_generated", 0));
  // Frozen layers forget what was generated, so a self-patch is not base there.
  EXPECT_NE(item<float>(result, "spectra_generated", 5),
            item<float>(result, "spectra_generated", 0));
}

TEST(BundleRunner, FullSwapContinuesTheSourceWithBasesLastToken) {
  Study study({"kv_cache layers=0:4", "base"});
  auto spliced = some_tokens(23, 2);
  spliced.back() = some_tokens(20, 1).back();
  study.bundle.contexts.push_back({PromptIndex(2), spliced, "", false});
  study.bundle.rows[1].base = 2;
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_EQ(item<std::int32_t>(result, "tokens", 0), item<std::int32_t>(result, "tokens", 1));
}

TEST(BundleRunner, ARowsBitsDoNotDependOnItsCompanions) {
  const std::vector<std::string> arms{
      "base", "v_proj layers=1 decode=persist",
      "kv_cache layers=1:3 entry=refeed growth=compound align=as_is", "source"};
  Study one(arms), other(arms);
  other.bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "other", true});
  other.bundle.contexts.push_back({PromptIndex(3), some_tokens(9, 6), "another", true});
  // Slots 0, 1 and 3 now hold other pairs; slot 2 and the number of v_proj rows stay.
  for (const int slot : {0, 1}) {
    other.bundle.rows[slot].base = other.bundle.rows[slot].reference = 2;
    other.bundle.rows[slot].counterpart = 3;
    for (RowDonor& donor : other.bundle.rows[slot].donors) donor.index = 3;
    other.bundle.rows[slot].pair_hash = 5;
  }
  other.bundle.rows[3].base = 3;
  BundleResult a = one.run(), b = other.run();
  expect_all_ok(a);
  expect_all_ok(b);
  EXPECT_EQ(item<std::int32_t>(a, "tokens", 2), item<std::int32_t>(b, "tokens", 2));
  for (const char* name : {"spectra_prompt", "spectra_generated"}) {
    EXPECT_EQ(item<float>(a, name, 2), item<float>(b, name, 2));
    EXPECT_NE(item<float>(a, name, 0), item<float>(b, name, 0));
  }
  EXPECT_EQ(item<float>(a, "logit_lens_logprob", 2), item<float>(b, "logit_lens_logprob", 2));
  EXPECT_NE(item<float>(a, "logit_lens_logprob", 0), item<float>(b, "logit_lens_logprob", 0));
  for (const char* name :
       {"change_norm", "r_v_reencoded", "r_v_generated", "kl_first", "lse_difference",
        "kl_forced_source", "kl_forced_base", "logprob_source", "logprob_base"}) {
    EXPECT_EQ(column<double>(a.rows, name)[2], column<double>(b.rows, name)[2]) << name;
    EXPECT_FALSE(std::isnan(column<double>(a.rows, name)[2])) << name;
  }
}

/// Rows 0 to 3 are base, source, a patch and base again, for another pair; 4 is base of a third
/// prompt and 5 the patch of 2 by that prompt.
Study study_of_equal_rows(double temperature) {
  Study study({"base", "source", "kv_cache layers=1:3"});
  study.config.generation.temperature = study.settings.generation.temperature = temperature;
  study.bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "other", true});
  study.add_row(0, 0, 2);
  study.add_row(0, 2, 1);
  study.add_row(2, 0, 2);
  for (const int row : {3, 4, 5}) study.bundle.rows[row].pair_hash = 100 + row;
  return study;
}

TEST(BundleRunner, GreedyRowsThatAreTheSameAreDecodedOnce) {
  const Study study = study_of_equal_rows(0);
  const auto distinct = distinct_rows(study.settings, study.bundle, study.model.config());
  EXPECT_EQ(distinct.slot_of, (std::vector<std::int64_t>{0, 1, 2, 0, 3, 4}));
  ASSERT_EQ(distinct.bundle.rows.size(), 5u);
  EXPECT_EQ(distinct.bundle.rows[3].row.value, 4);
  EXPECT_EQ(distinct.bundle.shape.rows, 8);
  const Study sampled = study_of_equal_rows(0.7);
  const auto all = distinct_rows(sampled.settings, sampled.bundle, sampled.model.config());
  EXPECT_EQ(all.slot_of, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(all.bundle.rows.size(), 6u);
}

TEST(BundleRunner, OfEqualRowsAnyMayBeTheOneThatIsDecoded) {
  Study study = study_of_equal_rows(0);
  Study alone = study_of_equal_rows(0);
  // Of rows 0 and 3 the first is decoded.
  std::swap(alone.bundle.rows[0], alone.bundle.rows[3]);
  BundleResult result = study.run(), other = alone.run();
  expect_all_ok(result);
  expect_all_ok(other);
  EXPECT_EQ(item<std::int32_t>(result, "tokens", 0), item<std::int32_t>(result, "tokens", 3));
  for (const auto& [row, same] : {std::pair{0, 3}, {3, 0}, {1, 1}, {2, 2}, {4, 4}, {5, 5}}) {
    EXPECT_EQ(item<std::int32_t>(result, "tokens", row), item<std::int32_t>(other, "tokens", same));
    for (const char* name :
         {"spectra_prompt", "spectra_generated", "step_pr", "logit_lens_logprob"})
      EXPECT_EQ(item<float>(result, name, row), item<float>(other, name, same)) << name;
    for (const char* name : {"kl_first", "kl_forced_source", "logprob_source", "change_norm"})
      EXPECT_EQ(column<double>(result.rows, name)[row], column<double>(other.rows, name)[same])
          << name;
  }
}

TEST(BundleRunner, LogitsAreObservedByRow) {
  Study study = study_of_equal_rows(0);
  at::Tensor first;
  const BundleRunner runner{
      study.model,
      study.tokenizer,
      study.settings,
      prompt_columns(study.config, study.model.config()),
      row_columns(study.config, study.model.config(), study.settings.arms, {}),
      {},
      [&](std::int64_t step, const at::Tensor& logits) {
        if (step == 0) first = logits.argmax(-1);
      }};
  BundleResult result = runner.run(study.bundle);
  for (std::int64_t row = 0; row < 6; ++row)
    EXPECT_EQ(first[row].item<std::int32_t>(), item<std::int32_t>(result, "tokens", row)[0]);
}

TEST(BundleRunner, PersistMakesTheGeneratedWindowOneRowAtItsLayer) {
  Study study({"v_proj layers=2 decode=persist", "v_proj layers=2"});
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto persist = item<float>(result, "spectra_generated", 0);  // [4 layers, 4]
  EXPECT_LT(persist[2 * 4 + 1], 1e-5 * persist[2 * 4]);
  const auto prefill = item<float>(result, "spectra_generated", 1);
  EXPECT_GT(prefill[2 * 4 + 1], 1e-3 * prefill[2 * 4]);
}

TEST(BundleRunner, WindowsOfARowAreThoseOfAPromptWithItsTokens) {
  Study study({"base"});
  BundleResult before = study.run();
  const auto tokens = item<std::int32_t>(before, "tokens", 0);
  auto read = some_tokens(20, 1);
  read.insert(read.end(), tokens.begin(), tokens.end() - 1);  // the last token is never fed
  study.bundle.contexts.push_back({PromptIndex(2), read, "", true});
  BundleResult result = study.run();
  ASSERT_EQ(item<std::int32_t>(result, "tokens", 0), tokens);
  const auto& of_prompts = column<float>(result.prompts, "spectra");  // [prompts, 4 layers, 4]
  const auto prompt = item<float>(result, "spectra_prompt", 0);
  const auto generated = item<float>(result, "spectra_generated", 0);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(prompt[i], of_prompts[i], 1e-3) << i;
    EXPECT_NEAR(generated[i], of_prompts[2 * 16 + i], 1e-3) << i;
  }
  const auto& pr = column<double>(result.prompts, "pr");
  const auto step_pr = item<float>(result, "step_pr", 0);  // [4 layers, 10 steps]
  for (std::size_t layer = 0; layer < 4; ++layer) {
    EXPECT_NEAR(step_pr[layer * 10], pr[layer], 1e-3) << layer;
    EXPECT_NEAR(step_pr[layer * 10 + 9], pr[2 * 4 + layer], 1e-3) << layer;
  }
}

TEST(BundleRunner, CountsTheCellsThatWereWritten) {
  Study study({"base", "v_proj layers=2", "v_proj layers=1:3 decode=persist", "kv_cache layers=1:4",
               "kv_cache layers=1:4 entry=refeed"});
  BundleResult result = study.run();
  const auto& cells = column<std::int64_t>(result.rows, "cells_changed");
  EXPECT_EQ(cells[0], 0);
  EXPECT_EQ(cells[1], 4 * 2);            // window x KV heads
  EXPECT_EQ(cells[2], (4 + 9) * 2 * 2);  // + 9 fed tokens, 2 layers
  EXPECT_EQ(cells[3], 3 * 22 * 2);       // layers x (m - 1) x KV heads
  EXPECT_EQ(cells[4], 3 * 23 * 2);
  EXPECT_EQ(column<double>(result.rows, "change_norm")[0], 0.0);
  for (std::size_t r = 1; r < 5; ++r) EXPECT_GT(column<double>(result.rows, "change_norm")[r], 0.0);
}

TEST(BundleRunner, ShortPromptsRunWithoutGeometry) {
  Study study({"base", "kv_cache layers=1:4"}, 3, 23);
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_TRUE(std::isnan(column<double>(result.rows, "r_v_prompt")[0]));
  EXPECT_FALSE(std::isnan(column<double>(result.rows, "r_v_generated")[0]));
  EXPECT_TRUE(std::isnan(column<float>(result.prompts, "spectra")[0]));
  // At patched layers the donor's cells fill the window, at layer 0 base's do not.
  const auto spectra = item<float>(result, "spectra_prompt", 1);
  EXPECT_TRUE(std::isnan(spectra[0]));
  EXPECT_FALSE(std::isnan(spectra[1 * 4]));
}

TEST(BundleRunner, CopyingIsFromTheDonorOrElseFromTheRowsOwnPrompt) {
  Study study({"base", "source", "kv_cache layers=1:4"});
  study.tokenizer = letters("\u0120");  // every token is a word
  study.config.readouts = {.reencode = false, .copying = true};
  study.settings.readouts = study.config.readouts;
  BundleResult before = study.run();
  const auto texts = column<std::string>(before.rows, "text");
  EXPECT_EQ(column<double>(before.rows, "copied_ngrams"), std::vector<double>(3, 0.0));
  study.bundle.contexts[0].text = texts[0];
  study.bundle.contexts[1].text = texts[1] + " and " + texts[2];
  BundleResult after = study.run();
  EXPECT_EQ(column<std::string>(after.rows, "text"), texts);
  EXPECT_EQ(column<double>(after.rows, "copied_ngrams"), std::vector<double>(3, 1.0));
  std::swap(study.bundle.contexts[0].text, study.bundle.contexts[1].text);
  BundleResult swapped = study.run();
  EXPECT_LT(column<double>(swapped.rows, "copied_ngrams")[0], 1.0);
  EXPECT_LT(column<double>(swapped.rows, "copied_ngrams")[2], 1.0);
}

TEST(BundleRunner, ARowWhoseTextCannotBeSearchedIsFailedAndKeepsItsText) {
  Study study({"base"});
  study.settings.families =
      parse_regex_families(R"({"version": 1, "families": [{"name": "technical_x",
        "description": "x", "patterns": ["(*LIMIT_MATCH=1)(?:.+.+)+ß"]}]})",
                           "mine.json")
          .families;
  BundleResult result = study.run();
  EXPECT_EQ(column<std::int8_t>(result.rows, "status")[0],
            static_cast<std::int8_t>(RowStatus::failed));
  EXPECT_NE(column<std::string>(result.rows, "reason")[0].find("family technical_x"),
            std::string::npos);
  EXPECT_EQ(column<std::int32_t>(result.rows, "technical_x")[0], -1);
  EXPECT_EQ(column<std::string>(result.rows, "text")[0].size(), 10u);
}

TEST(BundleRunner, EosEndsARowAndIsCounted) {
  Study study({"base"});
  BundleResult free_run = study.run();
  const auto tokens = item<std::int32_t>(free_run, "tokens", 0);
  study.settings.stop_tokens = {tokens[3]};
  const auto first = std::find(tokens.begin(), tokens.end(), tokens[3]) - tokens.begin();
  BundleResult result = study.run();
  EXPECT_EQ(column<std::int32_t>(result.rows, "n_generated")[0], first + 1);
  EXPECT_EQ(column<std::string>(result.rows, "stop_reason")[0], "eos");
  const auto stopped = item<std::int32_t>(result, "tokens", 0);
  EXPECT_EQ(stopped[first], tokens[3]);
  EXPECT_EQ(stopped[first + 1], -1);
}

TEST(BundleRunner, UnpatchedRowsAreTheirOwnReference) {
  Study study({"base", "source", "kv_cache layers=0:4"});
  BundleResult result = study.run();
  for (const char* name : {"kl_first", "kl_forced_base", "kl_forced_source"}) {
    const auto& kl = column<double>(result.rows, name);
    EXPECT_NEAR(kl[0], 0, 1e-6) << name;
    EXPECT_GT(kl[1], 1e-3) << name;  // the source beside the pair's base
    EXPECT_GT(kl[2], 1e-3) << name;
  }
  EXPECT_NEAR(column<double>(result.rows, "logprob_source")[0], 0, 1e-5);
  EXPECT_GT(column<double>(result.rows, "logprob_source")[1], 0);  // its own continuation
}

TEST(BundleRunner, WithoutNewTokensThereAreNoneOfTheirColumns) {
  Study study({"base", "v_proj layers=2"});
  study.config.generation.max_new_tokens = study.settings.generation.max_new_tokens = 0;
  study.config.readouts.first_token = study.settings.readouts.first_token = false;
  study.config.readouts.logit_lens = {"none", "test"};
  study.settings.logit_lens_layers.clear();
  BundleResult result = study.run();
  expect_all_ok(result);
  for (const char* name : {"tokens", "spectra_generated", "kl_first", "keyword_count", "step_pr"})
    EXPECT_TRUE(std::none_of(result.rows.columns.begin(), result.rows.columns.end(),
                             [&](const Column& c) { return c.spec.name == name; }))
        << name;
  EXPECT_FALSE(std::isnan(column<double>(result.rows, "r_v_prompt")[1]));
  EXPECT_EQ(column<std::int64_t>(result.rows, "cells_changed")[1], 4 * 2);
}

TEST(BundleRunner, AlphaIsTheDonorsShare) {
  Study study({"v_proj layers=2", "v_proj layers=2 alpha=0.25", "kv_cache layers=2",
               "kv_cache layers=2 alpha=0.25"},
              21, 21);
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto& norm = column<double>(result.rows, "change_norm");
  EXPECT_NEAR(norm[1], 0.25 * norm[0], 1e-4 * norm[0]);
  EXPECT_NEAR(norm[3], 0.25 * norm[2], 1e-4 * norm[2]);
}

}  // namespace
}  // namespace rvsweep
