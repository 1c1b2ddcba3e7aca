#include "rvsweep/experiment/bundle_runner.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/equal.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "device/everything.hpp"
#include "experiment/study.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/experiment/mean_donors.hpp"

namespace rvsweep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using testing::letters;
using testing::logits_of;
using testing::some_tokens;
using testing::Study;
using testing::study_of_equal_rows;

template <class T>
std::vector<T> item(BundleResult& result, ColumnKey<T> key, std::size_t row) {
  auto& values = column(result.rows, key);
  const auto width = values.size() / result.rows.index.size();
  return {values.begin() + row * width, values.begin() + (row + 1) * width};
}

void expect_all_ok(BundleResult& result) {
  for (std::size_t r = 0; r < result.rows.index.size(); ++r)
    EXPECT_EQ(column(result.rows, columns::status)[r], 0)
        << column(result.rows, columns::reason)[r];
}

TEST(BundleRunner, SelfPatchEqualsBaseBitForBit) {
  Study study({"base", "kv_cache layers=0:4", "kv_cache layers=1:3", "v_proj layers=2",
               "v_proj layers=0", "resid_pre layers=2 positions=all",
               "kv_cache layers=0:4 growth=frozen"});
  for (BundleRow& row : study.bundle.rows)
    for (RowDonor& donor : row.donors) donor.index = row.base;
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto base = item(result, columns::tokens, 0);
  for (std::size_t r = 1; r <= 5; ++r) {
    EXPECT_EQ(item(result, columns::tokens, r), base) << "row " << r;
    EXPECT_EQ(column(result.rows, columns::change_norm)[r] < 1e-4, true);
    EXPECT_NEAR(column(result.rows, columns::kl_first)[r], 0, 1e-9) << "row " << r;
    EXPECT_GT(column(result.rows, columns::cells_changed)[r], 0);
  }
  EXPECT_EQ(item(result, columns::spectra_generated, 1),
            item(result, columns::spectra_generated, 0));
  // Frozen layers forget what was generated, so a self-patch is not base there.
  EXPECT_NE(item(result, columns::spectra_generated, 6),
            item(result, columns::spectra_generated, 0));
}

TEST(BundleRunner, FullSwapContinuesTheSourceWithBasesLastToken) {
  Study study({"kv_cache layers=0:4", "base"});
  auto spliced = some_tokens(23, 2);
  spliced.back() = some_tokens(20, 1).back();
  study.bundle.contexts.push_back({PromptIndex(2), spliced, "", false});
  study.bundle.rows[1].base = 2;
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_EQ(item(result, columns::tokens, 0), item(result, columns::tokens, 1));
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
  EXPECT_EQ(item(a, columns::tokens, 2), item(b, columns::tokens, 2));
  for (const auto key : {columns::spectra_prompt, columns::spectra_generated}) {
    EXPECT_EQ(item(a, key, 2), item(b, key, 2));
    EXPECT_NE(item(a, key, 0), item(b, key, 0));
  }
  EXPECT_EQ(item(a, columns::logit_lens_logprob, 2), item(b, columns::logit_lens_logprob, 2));
  EXPECT_NE(item(a, columns::logit_lens_logprob, 0), item(b, columns::logit_lens_logprob, 0));
  for (const auto key : {columns::change_norm, columns::r_v_reencoded, columns::r_v_generated,
                         columns::kl_first, columns::lse_difference, columns::kl_forced_source,
                         columns::kl_forced_base, columns::logprob_source, columns::logprob_base}) {
    EXPECT_EQ(column(a.rows, key)[2], column(b.rows, key)[2]) << key.name;
    EXPECT_FALSE(std::isnan(column(a.rows, key)[2])) << key.name;
  }
}

TEST(BundleRunner, OfEqualRowsAnyMayBeTheOneThatIsDecoded) {
  Study study = study_of_equal_rows(0);
  Study alone = study_of_equal_rows(0);
  // Of rows 0 and 3 the first is decoded.
  std::swap(alone.bundle.rows[0], alone.bundle.rows[3]);
  BundleResult result = study.run(), other = alone.run();
  expect_all_ok(result);
  expect_all_ok(other);
  EXPECT_EQ(item(result, columns::tokens, 0), item(result, columns::tokens, 3));
  for (const auto& [row, same] : {std::pair{0, 3}, {3, 0}, {1, 1}, {2, 2}, {4, 4}, {5, 5}}) {
    EXPECT_EQ(item(result, columns::tokens, row), item(other, columns::tokens, same));
    for (const auto key : {columns::spectra_prompt, columns::spectra_generated, columns::step_pr,
                           columns::logit_lens_logprob})
      EXPECT_EQ(item(result, key, row), item(other, key, same)) << key.name;
    for (const auto key : {columns::kl_first, columns::kl_forced_source, columns::logprob_source,
                           columns::change_norm})
      EXPECT_EQ(column(result.rows, key)[row], column(other.rows, key)[same]) << key.name;
  }
}

// The letters of the alphabet are the tokens 0, 1, ...
TEST(BundleRunner, ComparesTheLogitsOfThePairsAnswers) {
  Study study({"base", "source"});
  for (int more = 0; more < 3; ++more) study.add_row(0, 0, 1);
  auto& rows = study.bundle.rows;
  rows[0].answers = rows[1].answers = {{"ca", "b"}, {"dog", "d"}};
  rows[2].answers = {{}, {"ca"}};
  rows[3].answers = {{"ca"}, {"b", "cd"}};  // both begin with c
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto& diff = column(result.rows, columns::logit_diff);
  const auto &of_source = column(result.rows, columns::answer_prob_source),
             &of_base = column(result.rows, columns::answer_prob_base);
  const auto &rank_source = column(result.rows, columns::answer_rank_source),
             &rank_base = column(result.rows, columns::answer_rank_base);
  for (const std::size_t r : {0, 1}) {
    const auto& prompt = study.bundle.contexts[r].tokens;
    const at::Tensor logits =
        logits_of(study.model, prompt)[std::ssize(prompt) - 1].to(at::kDouble);
    const auto at = [&](int token) { return logits[token].item<double>(); };
    const auto above = [&](double logit) { return logits.gt(logit).sum().item<std::int64_t>(); };
    const double all = logits.exp().sum().item<double>();
    const double of_b_and_c = std::exp(at(1)) + std::exp(at(2));
    EXPECT_NEAR(diff[r], std::log(of_b_and_c) - at(3), 1e-4);
    EXPECT_NEAR(of_source[r], of_b_and_c / all, 1e-5);
    EXPECT_NEAR(of_base[r], std::exp(at(3)) / all, 1e-5);
    EXPECT_EQ(rank_source[r], above(std::max(at(1), at(2))));
    EXPECT_EQ(rank_base[r], above(at(3)));
  }
  EXPECT_TRUE(std::isnan(diff[2]) && std::isnan(of_source[2]));
  EXPECT_EQ(rank_source[2], -1);
  EXPECT_NEAR(of_base[2], of_source[3], 1e-12);
  EXPECT_TRUE(std::isnan(diff[3]));
  EXPECT_GT(of_base[3], of_source[3]);
  EXPECT_TRUE(std::isnan(of_base[4]) && rank_base[4] == -1);
  EXPECT_EQ(column(result.rows, columns::answer_in_text)[2], -1);
}

TEST(BundleRunner, RowsThatShareNoPassAreTheSame) {
  const std::vector<std::string> arms{
      "base",
      "source",
      "v_proj layers=1 decode=persist",
      "kv_cache layers=1:3 entry=refeed growth=compound align=as_is",
      "resid_pre layers=2",
      "kv_cache layers=0:2 growth=frozen"};
  Study whole(arms);
  for (std::int32_t arm = 5; arm >= 0; --arm) whole.add_row(arm, 1, 0);
  whole.bundle.shape = {8, 32, 16};
  Study pieces = whole;
  pieces.bundle.shape.prompts_at_once = 1;
  pieces.bundle.shape.rows_at_once = 8;
  BundleResult a = whole.run(), b = pieces.run();
  expect_all_ok(b);
  for (std::size_t r = 0; r < 12; ++r) {
    EXPECT_EQ(item(a, columns::tokens, r), item(b, columns::tokens, r)) << r;
    for (const auto key : {columns::change_norm, columns::r_v_generated, columns::kl_first,
                           columns::kl_forced_source, columns::kl_forced_base,
                           columns::logprob_source, columns::logprob_base})
      EXPECT_NEAR(column(a.rows, key)[r], column(b.rows, key)[r], 1e-4) << key.name << " " << r;
  }
}

/// The prompts of a study as those of a bundle of long ones.
void make_long(Study& study) {
  Bundle& bundle = study.bundle;
  bundle.shape = {std::ssize(bundle.contexts), 640, std::ssize(bundle.rows), 1, 8};
  for (BundleContext& context : bundle.contexts)
    context.columns = std::max<std::int64_t>(std::ssize(context.tokens), study.settings.window);
}

const std::array long_and_short_alike{
    columns::change_norm,    columns::r_v_generated,  columns::r_v_prompt,
    columns::r_v_reencoded,  columns::kl_first,       columns::kl_forced_source,
    columns::kl_forced_base, columns::logprob_source, columns::logprob_base};

TEST(BundleRunner, RowsBesideLongPromptsAreTheSame) {
  Study short_prompts = testing::study_of_everything();
  short_prompts.means =
      means_over(short_prompts.model, {{{some_tokens(23, 2), some_tokens(40, 9)}}});
  Study beside_long = short_prompts;
  make_long(beside_long);
  BundleResult a = short_prompts.run(), b = beside_long.run();
  for (std::size_t r = 0; r < a.rows.index.size(); ++r) {
    EXPECT_EQ(column(a.rows, columns::reason)[r], column(b.rows, columns::reason)[r]);
    EXPECT_EQ(item(a, columns::tokens, r), item(b, columns::tokens, r)) << r;
    for (const auto key : long_and_short_alike) {
      const double was = column(a.rows, key)[r], is = column(b.rows, key)[r];
      if (std::isnan(was) && std::isnan(is)) continue;
      EXPECT_NEAR(was, is, 1e-4 * std::max(1.0, std::abs(was))) << key.name << " " << r;
    }
  }
}

TEST(BundleRunner, WhatNoRowReadsKeepsItsGeometry) {
  Study study({"base"}, 600, 530);
  study.config.readouts.forced = study.settings.readouts.forced = false;
  make_long(study);
  Study kept = study;
  study.bundle.contexts[1].columns = study.settings.window;
  BundleResult a = study.run(), b = kept.run();
  expect_all_ok(a);
  EXPECT_EQ(column(a.prompts, columns::spectra), column(b.prompts, columns::spectra));
  EXPECT_EQ(item(a, columns::tokens, 0), item(b, columns::tokens, 0));
}

TEST(BundleRunner, ALongRowsBitsDoNotDependOnItsCompanions) {
  Study one({"base", "v_proj layers=1"}, 600, 530), other({"base", "v_proj layers=1"}, 600, 530);
  for (Study* study : {&one, &other}) {
    study->bundle.contexts.push_back({PromptIndex(2), some_tokens(570, 5), "other", true});
    study->add_row(1, 2, 1);
  }
  other.bundle.contexts[2].tokens = some_tokens(560, 9);
  std::swap(other.bundle.contexts[0], other.bundle.contexts[2]);
  for (BundleRow& row : other.bundle.rows) {
    row.base = row.base == 0 ? 2 : 0;
    row.reference = row.base;
  }
  make_long(one);
  make_long(other);
  BundleResult a = one.run(), b = other.run();
  expect_all_ok(a);
  expect_all_ok(b);
  for (const std::size_t r : {0, 1}) {
    EXPECT_EQ(item(a, columns::tokens, r), item(b, columns::tokens, r));
    for (const auto key : {columns::spectra_prompt, columns::spectra_generated})
      EXPECT_EQ(item(a, key, r), item(b, key, r));
    for (const auto key : {columns::change_norm, columns::kl_first, columns::kl_forced_source})
      EXPECT_EQ(column(a.rows, key)[r], column(b.rows, key)[r]) << key.name;
  }
  EXPECT_NE(item(a, columns::spectra_prompt, 2), item(b, columns::spectra_prompt, 2));
}

TEST(BundleRunner, LogitsAreObservedByRow) {
  Study study = study_of_equal_rows(0);
  at::Tensor first;
  BundleResult result = study.run([&](std::int64_t step, const at::Tensor& logits) {
    if (step == 0) first = logits.argmax(-1);
  });
  for (std::int64_t row = 0; row < 6; ++row)
    EXPECT_EQ(first[row].item<std::int32_t>(), item(result, columns::tokens, row)[0]);
}

TEST(BundleRunner, ABrokenDeviceIsNoFailureOfItsRows) {
  Study study({"base", "source"});
  EXPECT_THAT(([&] {
                study.run([](std::int64_t, const at::Tensor&) {
                  throw c10::AcceleratorError({"f", "file.cpp", 1}, 710,
                                              "CUDA error: device-side assert triggered");
                });
              }),
              ThrowsMessage<DeviceError>(HasSubstr("device-side assert triggered")));
}

TEST(BundleRunner, ABundleThatFindsNoMemoryIsTriedOnceMore) {
  Study study({"base", "source"});
  BundleResult expected = study.run();
  int tries = 0, failures = 1;
  const auto without_memory = [&](std::int64_t step, const at::Tensor&) {
    if (step == 3 && ++tries <= failures)
      throw c10::OutOfMemoryError({"f", "file.cpp", 1},
                                  "CUDA out of memory. Tried to allocate ...");
  };
  BundleResult result = study.run(without_memory);
  EXPECT_EQ(tries, 2);
  expect_all_ok(result);
  for (std::size_t row : {0, 1})
    EXPECT_EQ(item(result, columns::tokens, row), item(expected, columns::tokens, row));

  tries = 0, failures = 9;
  EXPECT_THAT([&] { study.run(without_memory); },
              ThrowsMessage<DeviceMemoryError>(AllOf(HasSubstr("Tried to allocate ..."),
                                                     HasSubstr("8 rows from 8 prompts"),
                                                     HasSubstr("sweep.bundle_rows below 8"))));
  EXPECT_EQ(tries, 2);
}

TEST(BundleRunner, PersistMakesTheGeneratedWindowOneRowAtItsLayer) {
  Study study({"v_proj layers=2 decode=persist", "v_proj layers=2"});
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto persist = item(result, columns::spectra_generated, 0);  // [4 layers, 4]
  EXPECT_LT(persist[2 * 4 + 1], 1e-5 * persist[2 * 4]);
  const auto prefill = item(result, columns::spectra_generated, 1);
  EXPECT_GT(prefill[2 * 4 + 1], 1e-3 * prefill[2 * 4]);
}

TEST(BundleRunner, APatchHoldsFromItsFirstStepToItsLast) {
  Study study({"base", "resid_pre layers=2 decode=persist from_step=3",
               "resid_pre layers=2 decode=persist from_step=3 until_step=4",
               "resid_pre layers=2 decode=persist until_step=1", "resid_pre layers=2"});
  std::vector<at::Tensor> logits;  // by step: [rows, vocab]
  BundleResult result = study.run(
      [&](std::int64_t, const at::Tensor& of_step) { logits.push_back(of_step.clone()); });
  expect_all_ok(result);
  for (const std::int64_t row : {1, 2}) {
    for (std::size_t step = 0; step < 3; ++step)  // bit for bit
      EXPECT_TRUE(at::equal(logits[step][row], logits[step][0])) << step;
    EXPECT_FALSE(at::allclose(logits[3][row], logits[3][0], 1e-3, 1e-3));
    EXPECT_EQ(item(result, columns::spectra_prompt, row), item(result, columns::spectra_prompt, 0));
  }
  EXPECT_TRUE(at::equal(logits[3][2], logits[3][1]));
  EXPECT_FALSE(at::allclose(logits[4][2], logits[4][1], 1e-3, 1e-3));
  EXPECT_EQ(item(result, columns::tokens, 3), item(result, columns::tokens, 4));
  const auto& cells = column(result.rows, columns::cells_changed);
  EXPECT_EQ(std::vector(cells.begin(), cells.end()), (std::vector<std::int64_t>{0, 7, 1, 4, 4}));
  const auto& norm = column(result.rows, columns::change_norm);
  EXPECT_EQ(norm[3], norm[4]);
  EXPECT_GT(norm[1], norm[2]);
}

TEST(BundleRunner, ACacheIsPatchedBeforeItsStep) {
  Study study({"base", "kv_cache layers=1:3 at_step=3",
               "kv_cache layers=1:3 at_step=3 entry=refeed positions=last:5"});
  study.add_row(1, 0, 0);          // by base itself
  std::vector<at::Tensor> logits;  // by step: [rows, vocab]
  BundleResult result = study.run(
      [&](std::int64_t, const at::Tensor& of_step) { logits.push_back(of_step.clone()); });
  expect_all_ok(result);
  for (std::size_t step = 0; step < 10; ++step)
    EXPECT_TRUE(at::equal(logits[step][3], logits[step][0])) << step;  // bit for bit
  for (std::size_t step = 0; step < 3; ++step)
    EXPECT_TRUE(at::equal(logits[step][1], logits[step][0])) << step;
  EXPECT_FALSE(at::allclose(logits[3][1], logits[3][0], 1e-3, 1e-3));
  EXPECT_EQ(item(result, columns::tokens, 3), item(result, columns::tokens, 0));
  EXPECT_NEAR(column(result.rows, columns::kl_forced_base)[3], 0, 1e-9);
  EXPECT_GT(column(result.rows, columns::kl_forced_base)[1], 1e-3);
  const auto& cells = column(result.rows, columns::cells_changed);
  EXPECT_EQ(std::vector(cells.begin(), cells.end()),
            (std::vector<std::int64_t>{0, 2 * 22 * 2, 2 * 5 * 2, 2 * 19 * 2}));
  EXPECT_EQ(column(result.rows, columns::kl_first)[1], column(result.rows, columns::kl_first)[0]);
}

TEST(BundleRunner, ARowThatEndsBeforeItsPatchBeginsIsAResult) {
  Study study({"base", "resid_pre layers=2 decode=persist from_step=9",
               "kv_cache layers=1:3 at_step=9", "source"});
  BundleResult free_run = study.run();
  study.settings.stop_tokens = {item(free_run, columns::tokens, 0)[1]};
  BundleResult result = study.run();
  expect_all_ok(result);
  ASSERT_GT(column(result.rows, columns::n_generated)[3], 9);  // another row goes on beyond that
  for (const std::size_t row : {1, 2}) {
    EXPECT_LT(column(result.rows, columns::n_generated)[row], 9);
    EXPECT_EQ(column(result.rows, columns::cells_changed)[row], 0);
    EXPECT_EQ(column(result.rows, columns::change_norm)[row], 0);
    EXPECT_EQ(item(result, columns::spectra_prompt, row), item(result, columns::spectra_prompt, 0));
  }
}

TEST(BundleRunner, WindowsOfARowAreThoseOfAPromptWithItsTokens) {
  Study study({"base"});
  BundleResult before = study.run();
  const auto tokens = item(before, columns::tokens, 0);
  auto read = some_tokens(20, 1);
  read.insert(read.end(), tokens.begin(), tokens.end() - 1);  // the last token is never fed
  study.bundle.contexts.push_back({PromptIndex(2), read, "", true});
  BundleResult result = study.run();
  ASSERT_EQ(item(result, columns::tokens, 0), tokens);
  const auto& of_prompts = column(result.prompts, columns::spectra);  // [prompts, 4 layers, 4]
  const auto prompt = item(result, columns::spectra_prompt, 0);
  const auto generated = item(result, columns::spectra_generated, 0);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(prompt[i], of_prompts[i], 1e-3) << i;
    EXPECT_NEAR(generated[i], of_prompts[2 * 16 + i], 1e-3) << i;
  }
  const auto& pr = column(result.prompts, columns::pr);
  const auto step_pr = item(result, columns::step_pr, 0);  // [4 layers, 10 steps]
  for (std::size_t layer = 0; layer < 4; ++layer) {
    EXPECT_NEAR(step_pr[layer * 10], pr[layer], 1e-3) << layer;
    EXPECT_NEAR(step_pr[layer * 10 + 9], pr[2 * 4 + layer], 1e-3) << layer;
  }
}

// Against the softmax of each position's logits, each prompt read alone.
TEST(BundleRunner, LogProbabilitiesAreThoseOfThePromptsTokens) {
  Study study({"base"}, 20, 90);  // of the second more than are computed at once
  study.bundle.shape = {8, 96, 8};
  study.bundle.contexts.push_back({PromptIndex(2), some_tokens(30, 5), "", false});
  study.config.readouts.prompt_logprob = study.settings.readouts.prompt_logprob = true;
  for (const bool rows : {true, false}) {
    if (!rows) study.bundle.rows.clear();
    BundleResult result = study.run();
    const auto& found = column(result.prompts, columns::logprob);
    ASSERT_EQ(found.size(), 2u);
    for (std::size_t c = 0; c < 2; ++c) {
      const auto& tokens = study.bundle.contexts[c].tokens;
      const at::Tensor expected =
          testing::logits_of(study.model, tokens).to(at::kDouble).log_softmax(-1);
      ASSERT_EQ(found[c].size(), tokens.size());
      EXPECT_TRUE(std::isnan(found[c][0]));
      for (std::size_t i = 1; i < tokens.size(); ++i)
        EXPECT_NEAR(found[c][i], expected[i - 1][tokens[i]].item<double>(), 1e-5) << c << " " << i;
    }
  }
}

// Of prompts that a row reads and of such as none does.
TEST(BundleRunner, LogProbabilitiesOfLongPromptsAreTheirs) {
  Study study({"base"}, 600, 530);
  study.config.readouts.forced = study.settings.readouts.forced = false;
  study.config.readouts.prompt_logprob = study.settings.readouts.prompt_logprob = true;
  make_long(study);
  study.bundle.contexts[1].columns = study.settings.window;
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto& found = column(result.prompts, columns::logprob);
  for (std::size_t c = 0; c < 2; ++c) {
    const auto& tokens = study.bundle.contexts[c].tokens;
    const at::Tensor expected =
        testing::logits_of(study.model, tokens).to(at::kDouble).log_softmax(-1);
    ASSERT_EQ(found[c].size(), tokens.size());
    for (std::size_t i = 1; i < tokens.size(); ++i)
      EXPECT_NEAR(found[c][i], expected[i - 1][tokens[i]].item<double>(), 1e-5) << c << " " << i;
  }
}

TEST(BundleRunner, LogProbabilitiesChangeNothingElse) {
  Study study({"base", "source", "v_proj layers=2", "kv_cache layers=1:3"});
  BundleResult without = study.run();
  study.config.readouts.prompt_logprob = study.settings.readouts.prompt_logprob = true;
  BundleResult with = study.run();
  EXPECT_EQ(column(with.rows, columns::tokens), column(without.rows, columns::tokens));
  EXPECT_EQ(column(with.rows, columns::kl_first), column(without.rows, columns::kl_first));
  EXPECT_EQ(column(with.prompts, columns::spectra), column(without.prompts, columns::spectra));
}

// Each window as the sweep's own would give it.
TEST(BundleRunner, EveryWindowIsMeasuredAsIfItWereTheSweeps) {
  Study study({"base", "kv_cache layers=1:3"});
  study.config.windows = study.settings.windows = {4, 6, 21};
  BundleResult result = study.run();
  const auto& of_prompts = column(result.prompts, columns::window_pr);  // [2, 3, 4 layers, 3]
  for (std::size_t k = 0; k < 3; ++k) {
    Study alone({"base", "kv_cache layers=1:3"});
    alone.config.window = alone.settings.window = study.settings.windows[k];
    BundleResult expected = alone.run();
    const auto& raw = column(expected.prompts, columns::pr);
    const auto& corrected = column(expected.prompts, columns::pr_corrected);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t layer = 0; layer < 4; ++layer) {
        const auto at = ((i * 3 + k) * 4 + layer) * 3;
        if (i == 0 && k == 2) {  // 20 tokens
          EXPECT_TRUE(std::isnan(of_prompts[at]));
          continue;
        }
        EXPECT_NEAR(of_prompts[at], raw[i * 4 + layer], 1e-5);
        const double expected_corrected = corrected[i * 4 + layer];
        EXPECT_EQ(std::isnan(of_prompts[at + 2]), std::isnan(expected_corrected));
        if (!std::isnan(expected_corrected)) {
          EXPECT_NEAR(of_prompts[at + 2] / expected_corrected, 1, 1e-5);
        }
      }
    for (std::size_t r = 0; r < 2; ++r) {
      const auto prompt = item(result, columns::window_pr_prompt, r);
      const auto generated = item(result, columns::window_pr_generated, r);
      const auto at = [&](std::size_t layer) { return (k * 4 + layer) * 3 + 1; };  // centred
      const double expected_r_v = column(expected.rows, columns::r_v_prompt_centred)[r];
      if (k < 2) {
        EXPECT_NEAR(prompt[at(3)] / prompt[at(1)], expected_r_v, 1e-5);
      }
      EXPECT_EQ(std::isnan(generated[at(0)]), k == 2);
    }
  }
}

TEST(BundleRunner, CountsTheCellsThatWereWritten) {
  Study study({"base", "v_proj layers=2", "v_proj layers=1:3 decode=persist", "kv_cache layers=1:4",
               "kv_cache layers=1:4 entry=refeed", "v_proj layers=2 positions=all",
               "resid_pre layers=2 positions=first:3 decode=persist"});
  BundleResult result = study.run();
  const auto& cells = column(result.rows, columns::cells_changed);
  EXPECT_EQ(cells[0], 0);
  EXPECT_EQ(cells[1], 4 * 2);            // window x KV heads
  EXPECT_EQ(cells[2], (4 + 9) * 2 * 2);  // + 9 fed tokens, 2 layers
  EXPECT_EQ(cells[3], 3 * 22 * 2);       // layers x (m - 1) x KV heads
  EXPECT_EQ(cells[4], 3 * 23 * 2);
  EXPECT_EQ(cells[5], 20 * 2);  // base's tokens
  EXPECT_EQ(column(result.rows, columns::cells_dropped)[5], 3 * 2);
  EXPECT_EQ(cells[6], 3 + 9);
  EXPECT_EQ(column(result.rows, columns::change_norm)[0], 0.0);
  for (std::size_t r = 1; r < 7; ++r) EXPECT_GT(column(result.rows, columns::change_norm)[r], 0.0);
}

// A base of one token has no cell before it: zeros take nothing's place, but are attended to.
TEST(BundleRunner, CellsAddedAreAChangeWhateverTheyHold) {
  Study study({"base", "kv_cache layers=1:4"}, 1, 23);
  study.bundle.derived = {{Derivation::zero, -1, 23}};
  study.bundle.rows[1].donors[0].index = 2;
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_EQ(column(result.rows, columns::cells_changed)[1], 3 * 22 * 2);
  EXPECT_EQ(column(result.rows, columns::change_norm)[1], 0.0);
  EXPECT_GT(column(result.rows, columns::kl_first)[1], 0.0);
}

TEST(BundleRunner, ZerosAtGeneratedTokensAreAChange) {
  Study study({"base", "v_proj layers=1 decode=persist from_step=1"});
  study.bundle.derived = {{Derivation::zero, -1, 23}};
  study.bundle.rows[1].donors[0].index = 2;
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_GT(column(result.rows, columns::cells_changed)[1], 0);
  EXPECT_EQ(column(result.rows, columns::change_norm)[1], 0.0);
}

TEST(BundleRunner, ShortPromptsRunWithoutGeometry) {
  Study study({"base", "kv_cache layers=1:4"}, 3, 23);
  BundleResult result = study.run();
  expect_all_ok(result);
  EXPECT_TRUE(std::isnan(column(result.rows, columns::r_v_prompt)[0]));
  EXPECT_FALSE(std::isnan(column(result.rows, columns::r_v_generated)[0]));
  EXPECT_TRUE(std::isnan(column(result.prompts, columns::spectra)[0]));
  // At patched layers the donor's cells fill the window, at layer 0 base's do not.
  const auto spectra = item(result, columns::spectra_prompt, 1);
  EXPECT_TRUE(std::isnan(spectra[0]));
  EXPECT_FALSE(std::isnan(spectra[1 * 4]));
}

TEST(BundleRunner, CopyingIsFromTheDonorOrElseFromTheRowsOwnPrompt) {
  Study study({"base", "source", "kv_cache layers=1:4"});
  study.tokenizer = letters("\u0120");  // every token is a word
  study.config.readouts = {.reencode = false, .copying = true};
  study.settings.readouts = study.config.readouts;
  BundleResult before = study.run();
  const auto texts = column(before.rows, columns::text);
  EXPECT_EQ(column(before.rows, columns::copied_ngrams), std::vector<double>(3, 0.0));
  study.bundle.contexts[0].text = texts[0];
  study.bundle.contexts[1].text = texts[1] + " and " + texts[2];
  BundleResult after = study.run();
  EXPECT_EQ(column(after.rows, columns::text), texts);
  EXPECT_EQ(column(after.rows, columns::copied_ngrams), std::vector<double>(3, 1.0));
  std::swap(study.bundle.contexts[0].text, study.bundle.contexts[1].text);
  BundleResult swapped = study.run();
  EXPECT_LT(column(swapped.rows, columns::copied_ngrams)[0], 1.0);
  EXPECT_LT(column(swapped.rows, columns::copied_ngrams)[2], 1.0);
}

TEST(BundleRunner, ARowWhoseTextCannotBeSearchedIsFailedAndKeepsItsText) {
  Study study({"base"});
  study.settings.families =
      parse_regex_families(R"({"version": 1, "families": [{"name": "technical_x",
        "description": "x", "patterns": ["(*LIMIT_MATCH=1)(?:.+.+)+ß"]}]})",
                           "mine.json")
          .families;
  BundleResult result = study.run();
  EXPECT_EQ(column(result.rows, columns::status)[0], static_cast<std::int8_t>(RowStatus::failed));
  EXPECT_NE(column(result.rows, columns::reason)[0].find("family technical_x"), std::string::npos);
  EXPECT_EQ(column(result.rows, ColumnKey<std::int32_t>{"technical_x"})[0], -1);
  EXPECT_EQ(column(result.rows, columns::text)[0].size(), 10u);
}

TEST(BundleRunner, EosEndsARowAndIsCounted) {
  Study study({"base"});
  BundleResult free_run = study.run();
  const auto tokens = item(free_run, columns::tokens, 0);
  study.settings.stop_tokens = {tokens[3]};
  const auto first = std::find(tokens.begin(), tokens.end(), tokens[3]) - tokens.begin();
  BundleResult result = study.run();
  EXPECT_EQ(column(result.rows, columns::n_generated)[0], first + 1);
  EXPECT_EQ(column(result.rows, columns::stop_reason)[0], "eos");
  const auto stopped = item(result, columns::tokens, 0);
  EXPECT_EQ(stopped[first], tokens[3]);
  EXPECT_EQ(stopped[first + 1], -1);
}

TEST(BundleRunner, UnpatchedRowsAreTheirOwnReference) {
  Study study({"base", "source", "kv_cache layers=0:4"});
  BundleResult result = study.run();
  for (const auto key : {columns::kl_first, columns::kl_forced_base, columns::kl_forced_source}) {
    const auto& kl = column(result.rows, key);
    EXPECT_NEAR(kl[0], 0, 1e-6) << key.name;
    EXPECT_GT(kl[1], 1e-3) << key.name;  // the source beside the pair's base
    EXPECT_GT(kl[2], 1e-3) << key.name;
  }
  EXPECT_NEAR(column(result.rows, columns::logprob_source)[0], 0, 1e-5);
  EXPECT_GT(column(result.rows, columns::logprob_source)[1], 0);  // its own continuation
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
  EXPECT_FALSE(std::isnan(column(result.rows, columns::r_v_prompt)[1]));
  EXPECT_EQ(column(result.rows, columns::cells_changed)[1], 4 * 2);
}

TEST(BundleRunner, WhatAnOperationChangesIsProvenByWhatStoodThere) {
  Study study({"resid_pre layers=2", "resid_pre layers=2 op=add scale=2 decode=persist",
               "resid_pre layers=2 op=add scale=-4 decode=persist",
               "resid_pre layers=2 op=scale factor=0", "resid_pre layers=2 op=add scale=1n",
               "resid_pre layers=2 op=project_out & resid_pre layers=2 op=project_out"});
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto& norm = column(result.rows, columns::change_norm);
  EXPECT_NEAR(norm[2], 2 * norm[1], 1e-4 * norm[2]);  // the donor's rows, whatever was drawn
  EXPECT_NEAR(norm[4], norm[3], 1e-4 * norm[3]);      // the values' own norm
  const auto patches = item(result, columns::patch_change_norm, 5);
  EXPECT_EQ(patches[0], patches[1]);  // nothing was left to the second
  EXPECT_EQ(column(result.rows, columns::cells_changed)[1], 4 + 9);
}

TEST(BundleRunner, AlphaIsTheDonorsShare) {
  Study study({"v_proj layers=2", "v_proj layers=2 alpha=0.25", "kv_cache layers=2",
               "kv_cache layers=2 alpha=0.25"},
              21, 21);
  BundleResult result = study.run();
  expect_all_ok(result);
  const auto& norm = column(result.rows, columns::change_norm);
  EXPECT_NEAR(norm[1], 0.25 * norm[0], 1e-4 * norm[0]);
  EXPECT_NEAR(norm[3], 0.25 * norm[2], 1e-4 * norm[2]);
}

}  // namespace
}  // namespace rvsweep
