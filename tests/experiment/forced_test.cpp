#include "experiment/forced.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "experiment/study.hpp"

namespace rvsweep {
namespace {

using testing::greedy_tokens;
using testing::some_tokens;
using testing::Study;
using Tokens = std::vector<std::int32_t>;

/// ln of the probabilities that `continuation` is predicted with after `prompt`, the whole text
/// read at once: [tokens of the continuation][vocab].
std::vector<std::vector<double>> log_probabilities_along(const Transformer& model, Tokens text,
                                                         const Tokens& continuation) {
  const auto n = std::ssize(text);
  text.insert(text.end(), continuation.begin(), continuation.end());
  const at::Tensor all = testing::logits_of(model, text).to(at::kDouble).log_softmax(-1);
  std::vector<std::vector<double>> result;
  for (std::int64_t i = 0; i < std::ssize(continuation); ++i) {
    const at::Tensor row = all[n - 1 + i].contiguous();
    result.emplace_back(row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel());
  }
  return result;
}

struct Expected {
  double kl = 0, logprob = 0;
};

Expected expected_along(const Transformer& model, const Tokens& reference, const Tokens& prompt,
                        const Tokens& continuation) {
  const auto p = log_probabilities_along(model, reference, continuation);
  const auto q = log_probabilities_along(model, prompt, continuation);
  Expected sum;
  for (std::size_t i = 0; i < continuation.size(); ++i) {
    for (std::size_t token = 0; token < p[i].size(); ++token)
      sum.kl += std::exp(p[i][token]) * (p[i][token] - q[i][token]);
    sum.logprob += q[i][continuation[i]] - p[i][continuation[i]];
  }
  const auto length = static_cast<double>(continuation.size());
  return {sum.kl / length, sum.logprob / length};
}

/// Base, source, the source's whole cache, and base beside another counterpart, so that one
/// reference is fed two continuations.
TEST(FillForced, AveragesOverContinuationsThatRowAndReferenceReadAsTextsOfTheirOwn) {
  Study study({"base", "source", "kv_cache layers=0:4"});
  study.bundle.contexts.push_back({PromptIndex(2), some_tokens(15, 7), "third", false});
  study.add_row(0, 0, 2);
  const PreparedBundle prepared = study.prepare();
  ItemTable table = empty_table(study.columns_of_rows(), {0, 1, 2, 3});
  fill_forced(prepared, study.decode(prepared), table);

  const Tokens base = some_tokens(20, 1), source = some_tokens(23, 2), third = some_tokens(15, 7);
  Tokens spliced = source;  // what a row sees whose whole cache is the source's
  spliced.back() = base.back();
  const std::vector<Tokens> prompts{base, source, spliced, base};
  const std::vector<Tokens> counterparts{source, source, source, third};
  const Tokens own = greedy_tokens(study.model, base, 10);
  for (std::size_t r = 0; r < prompts.size(); ++r) {
    const Expected of_base = expected_along(study.model, base, prompts[r], own);
    const Expected of_source = expected_along(study.model, base, prompts[r],
                                              greedy_tokens(study.model, counterparts[r], 10));
    EXPECT_NEAR(column(table, columns::kl_forced_base)[r], of_base.kl, 1e-4) << r;
    EXPECT_NEAR(column(table, columns::logprob_base)[r], of_base.logprob, 1e-4) << r;
    EXPECT_NEAR(column(table, columns::kl_forced_source)[r], of_source.kl, 1e-4) << r;
    EXPECT_NEAR(column(table, columns::logprob_source)[r], of_source.logprob, 1e-4) << r;
  }
  EXPECT_GT(column(table, columns::kl_forced_base)[1], 0.1);
  EXPECT_GT(column(table, columns::kl_forced_source)[2], 0.1);
}

TEST(FillForced, RowsThatFailedHaveNone) {
  Study study({"base", "source"});
  const PreparedBundle prepared = study.prepare();
  DecodedBatch batch = study.decode(prepared);
  batch.rows[1].failure = "for a reason";
  ItemTable table = empty_table(study.columns_of_rows(), {0, 1});
  fill_forced(prepared, batch, table);
  EXPECT_FALSE(std::isnan(column(table, columns::logprob_source)[0]));
  EXPECT_TRUE(std::isnan(column(table, columns::logprob_source)[1]));
  EXPECT_TRUE(std::isnan(column(table, columns::kl_forced_base)[1]));
}

}  // namespace
}  // namespace rvsweep
