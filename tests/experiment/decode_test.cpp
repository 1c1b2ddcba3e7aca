#include "experiment/decode.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "experiment/study.hpp"
#include "rvsweep/core/philox.hpp"

namespace rvsweep {
namespace {

using testing::greedy_tokens;
using testing::Study;
using Tokens = std::vector<std::int32_t>;

TEST(Decode, GreedyTokensAreThoseOfTheTextReadAgainForEachOfThem) {
  Study study({"base", "source"});
  study.settings.generation.temperature = 0;
  const PreparedBundle prepared = study.prepare();
  const DecodedBatch batch = study.decode(prepared);
  for (std::size_t r = 0; r < 2; ++r)
    EXPECT_EQ(batch.rows[r].tokens,
              greedy_tokens(study.model, study.bundle.contexts[r].tokens, 10));
}

/// The first token whose running sum of probabilities exceeds `uniform`.
std::int32_t drawn(const at::Tensor& logits, double uniform) {
  const std::vector<float> values(logits.const_data_ptr<float>(),
                                  logits.const_data_ptr<float>() + logits.numel());
  double total = 0, sum = 0;
  for (const float value : values) total += std::exp(value);
  std::int32_t token = 0;
  for (; token < std::ssize(values); ++token)
    if ((sum += std::exp(values[token])) > uniform * total) break;
  return token;
}

TEST(Decode, TokensAreDrawnByTheNumbersOfSeedPairSampleAndStep) {
  Study study({"base", "source"});
  study.bundle.rows[1].pair_hash = 12;
  study.bundle.rows[1].sample = 3;
  std::vector<at::Tensor> logits;
  const PreparedBundle prepared = study.prepare();
  const DecodedBatch batch = study.decode(
      prepared, [&](std::int64_t, const at::Tensor& of_step) { logits.push_back(of_step); });
  ASSERT_EQ(logits.size(), 10u);
  for (std::size_t r = 0; r < 2; ++r) {
    const BundleRow& row = study.bundle.rows[r];
    for (std::int64_t t = 0; t < 10; ++t)
      EXPECT_EQ(batch.rows[r].tokens[t],
                drawn(logits[t][r], sampling_uniform(1, row.pair_hash, row.sample, t)))
          << "row " << r << ", step " << t;
  }
}

TEST(Decode, ARowThatStopsLeavesTheOthersAlone) {
  Study study({"base", "source"});
  study.settings.generation.temperature = 0;
  const Tokens base = greedy_tokens(study.model, study.bundle.contexts[0].tokens, 10),
               source = greedy_tokens(study.model, study.bundle.contexts[1].tokens, 10);
  const auto only_base = std::find_if(base.begin(), base.end(), [&](std::int32_t token) {
    return std::find(source.begin(), source.end(), token) == source.end();
  });
  ASSERT_NE(only_base, base.end());
  study.settings.stop_tokens = {*only_base};
  const PreparedBundle prepared = study.prepare();
  const DecodedBatch batch = study.decode(prepared);
  EXPECT_EQ(batch.rows[0].tokens, Tokens(base.begin(), only_base + 1));
  EXPECT_TRUE(batch.rows[0].stopped_at_eos);
  EXPECT_EQ(batch.rows[1].tokens, source);
  EXPECT_FALSE(batch.rows[1].stopped_at_eos);
}

TEST(Decode, ARowWhoseLogitsAreNotFiniteFailsAlone) {
  for (const double temperature : {0.0, 1.0}) {
    Study study({"base", "source"});
    study.settings.generation.temperature = temperature;
    const PreparedBundle prepared = study.prepare();
    const DecodedBatch undisturbed = study.decode(prepared);
    const RowBatch batch{study.bundle.rows, prepared.rows};
    PreparedRows rows = prepare_rows(prepared, batch.compiled, 10);
    rows.cache.v.select(1, 1).fill_(std::numeric_limits<double>::quiet_NaN());
    const DecodedBatch decoded =
        decode(prepared, batch, std::move(rows), {.generation = study.settings.generation});
    EXPECT_EQ(decoded.rows[1].failure, "the logits of generated token 1 are not finite numbers");
    EXPECT_TRUE(decoded.rows[1].tokens.empty());
    EXPECT_EQ(decoded.rows[0].failure, "");
    EXPECT_EQ(decoded.rows[0].tokens, undisturbed.rows[0].tokens);
  }
}

TEST(Decode, WithoutNewTokensTheLastPromptTokenAloneIsFed) {
  Study study({"base"});
  study.settings.generation.max_new_tokens = 0;
  const PreparedBundle prepared = study.prepare();
  const DecodedBatch batch = study.decode(prepared);
  EXPECT_TRUE(batch.rows[0].tokens.empty());
  const auto T = study.bundle.shape.prompt_length;
  ASSERT_EQ(batch.cache.columns(), T + 1);
  EXPECT_TRUE(at::allclose(batch.cache.v.select(1, 0).select(2, T),
                           prepared.contexts.cache.v.select(1, 0).select(2, T - 1), 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(batch.first_logits[0],
                           testing::logits_of(study.model, study.bundle.contexts[0].tokens)[19],
                           1e-4, 1e-4));
}

/// The largest logit after those of tokens that have occurred are lowered, by definition.
std::int32_t largest_penalised(const at::Tensor& logits, const std::set<std::int32_t>& occurred,
                               float penalty) {
  std::int32_t best = 0;
  float largest = -std::numeric_limits<float>::infinity();
  for (std::int32_t token = 0; token < logits.numel(); ++token) {
    float value = logits.const_data_ptr<float>()[token];
    if (occurred.contains(token)) value = value < 0 ? value * penalty : value / penalty;
    if (value > largest) best = token;
    largest = std::max(largest, value);
  }
  return best;
}

TEST(Decode, PenalisesTheTokensOfTheRowsOwnPromptAndText) {
  Study study({"base", "source", "kv_cache layers=1:3", "kv_cache layers=0:4 entry=refeed",
               "v_proj layers=2 decode=persist"});
  study.settings.generation.temperature = 0;
  study.settings.generation.repetition_penalty = 2;
  std::vector<at::Tensor> steps;  // the model's own logits
  const PreparedBundle prepared = study.prepare();
  const DecodedBatch batch = study.decode(
      prepared, [&](std::int64_t, const at::Tensor& logits) { steps.push_back(logits.clone()); });
  int changed = 0;
  for (std::size_t r = 0; r < study.bundle.rows.size(); ++r) {
    const Tokens& prompt = study.bundle.contexts[study.bundle.rows[r].base].tokens;
    std::set<std::int32_t> occurred(prompt.begin(), prompt.end());
    for (std::size_t t = 0; t < batch.rows[r].tokens.size(); ++t) {
      const std::int32_t token = batch.rows[r].tokens[t];
      const at::Tensor logits = steps[t][static_cast<std::int64_t>(r)];
      EXPECT_EQ(token, largest_penalised(logits, occurred, 2)) << "row " << r << ", token " << t;
      changed += token != largest_penalised(logits, {}, 2);
      occurred.insert(token);
    }
  }
  EXPECT_GT(changed, 10);
}

TEST(Continuations, AreGreedyAtEveryTemperature) {
  const Study study({"base"});
  const PreparedBundle prepared = study.prepare();
  ASSERT_EQ(study.settings.generation.temperature, 1.0);
  const auto greedy = continuations(prepared, unpatched_rows(study.bundle, study.model.config()));
  ASSERT_EQ(greedy.size(), 2u);
  for (std::size_t c = 0; c < 2; ++c)
    EXPECT_EQ(greedy[c].tokens, greedy_tokens(study.model, study.bundle.contexts[c].tokens, 10));
}

}  // namespace
}  // namespace rvsweep
