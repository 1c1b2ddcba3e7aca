#include "experiment/logit_readouts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rvsweep/metrics/logits.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

/// KL(reference || row) of every row of `logits`: float64 [rows]. A few rows at a time: a
/// vocabulary in float64 takes a megabyte.
at::Tensor kl_from(const at::Tensor& references, const std::vector<std::int64_t>& reference_of,
                   const at::Tensor& logits) {
  const at::Tensor index = at::tensor(reference_of, at::kLong).to(logits.device());
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < logits.size(0); first += kl_rows) {
    const auto n = std::min(kl_rows, logits.size(0) - first);
    const at::Tensor log_p =
        log_probabilities(references.index_select(0, index.narrow(0, first, n)));
    const at::Tensor log_q = log_probabilities(logits.narrow(0, first, n));
    parts.push_back(kl_divergence(log_p, log_q, at::arange(n, index.options())));
  }
  return at::cat(parts);
}

/// log p of every token but the first of the context in slot `c`: float64 [n - 1] on the CPU.
/// Pieces depend on the bundle's shape alone, and those without a token of the prompt are left out.
at::Tensor log_probability_by_token(const PreparedBundle& prepared, std::int64_t c) {
  const auto& ids = prepared.bundle.contexts[c].tokens;
  const at::Tensor stream = prepared.residual[c];  // [T, hidden]
  const auto T = stream.size(0), n = std::ssize(ids);
  at::Tensor next = at::zeros({T}, at::kLong);  // the token that follows each column
  auto* const following = next.mutable_data_ptr<std::int64_t>();
  std::copy(ids.begin() + 1, ids.end(), following + T - n);
  next = next.to(stream.device());
  const auto begin = (T - n) / logprob_columns * logprob_columns;
  std::vector<at::Tensor> parts;
  for (std::int64_t first = begin; first < T; first += logprob_columns) {
    const auto columns = std::min(logprob_columns, T - first);
    const at::Tensor logits = prepared.model.unembed(stream.narrow(0, first, columns));
    parts.push_back(
        token_log_probability(log_probabilities(logits), next.narrow(0, first, columns)));
  }
  return at::cat(parts).narrow(0, T - n - begin, n - 1).to(at::kCPU);
}

/// set_logits of the rows' answers to one prompt of their pairs, on the CPU; a few rows at a time,
/// as kl_from.
SetLogits logits_of_answers(const at::Tensor& logits, const std::vector<AnswerTokens>& answers,
                            std::vector<std::int64_t> AnswerTokens::*side) {
  std::size_t most = 1;
  for (const AnswerTokens& of_row : answers) most = std::max(most, (of_row.*side).size());
  std::vector<std::int64_t> padded;
  for (const AnswerTokens& of_row : answers) {
    padded.insert(padded.end(), (of_row.*side).begin(), (of_row.*side).end());
    padded.resize(padded.size() + most - (of_row.*side).size(), -1);
  }
  const at::Tensor tokens =
      at::tensor(padded, at::kLong).view({logits.size(0), -1}).to(logits.device());
  std::vector<at::Tensor> log_sum_exp, log_probability, rank;
  for (std::int64_t first = 0; first < logits.size(0); first += kl_rows) {
    const auto n = std::min(kl_rows, logits.size(0) - first);
    SetLogits piece = set_logits(logits.narrow(0, first, n), tokens.narrow(0, first, n));
    log_sum_exp.push_back(std::move(piece.log_sum_exp));
    log_probability.push_back(std::move(piece.log_probability));
    rank.push_back(std::move(piece.rank));
  }
  return {at::cat(log_sum_exp).to(at::kCPU), at::cat(log_probability).to(at::kCPU),
          at::cat(rank).to(at::kCPU)};
}

}  // namespace

void fill_prompt_logprob(const PreparedBundle& prepared, ItemTable& table) {
  auto* stored = find_column(table, columns::logprob);
  if (stored == nullptr) return;
  std::size_t item = 0;
  for (std::size_t c = 0; c < prepared.bundle.contexts.size(); ++c) {
    if (!prepared.bundle.contexts[c].records_prompt) continue;
    const at::Tensor values = log_probability_by_token(prepared, static_cast<std::int64_t>(c));
    std::vector<float>& of_prompt = (*stored)[item++];
    of_prompt = {std::numeric_limits<float>::quiet_NaN()};
    for (std::int64_t i = 0; i < values.numel(); ++i)
      of_prompt.push_back(static_cast<float>(values.const_data_ptr<double>()[i]));
  }
}

void fill_first_token(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  auto* kl_first = find_column(table, columns::kl_first);
  if (kl_first == nullptr) return;
  const auto& rows = prepared.bundle.rows;
  const TokenSets& sets = prepared.settings.token_sets;
  const auto R = std::ssize(rows);
  std::vector<std::int64_t> references;
  for (const BundleRow& row : rows) references.push_back(std::max<std::int64_t>(row.reference, 0));
  const at::Tensor logits = batch.first_logits.narrow(0, 0, R);
  const at::Tensor kl = kl_from(prepared.first_logits, references, logits).to(at::kCPU);
  const at::Tensor lse = log_sum_exp_difference(logits, sets.recursive, sets.task).to(at::kCPU);
  auto& lse_difference = column(table, columns::lse_difference);
  for (std::int64_t r = 0; r < R; ++r) {
    if (!batch.rows[r].failure.empty()) continue;
    if (rows[r].reference >= 0) (*kl_first)[r] = kl.const_data_ptr<double>()[r];
    lse_difference[r] = lse.const_data_ptr<double>()[r];
  }
}

void fill_answers(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                  const DecodedBatch& batch, ItemTable& table) {
  auto* logit_diff = find_column(table, columns::logit_diff);
  if (logit_diff == nullptr) return;
  std::vector<AnswerTokens> answers;
  for (const BundleRow& row : prepared.bundle.rows)
    answers.push_back(first_tokens(row.answers, tokenizer));
  const auto R = std::ssize(answers);
  const at::Tensor logits = batch.first_logits.narrow(0, 0, R);
  const auto fill = [&](auto side, ColumnKey<double> prob_key, ColumnKey<std::int32_t> rank_key) {
    const SetLogits of = logits_of_answers(logits, answers, side);
    auto& prob = column(table, prob_key);
    auto& rank = column(table, rank_key);
    for (std::int64_t r = 0; r < R; ++r) {
      if ((answers[r].*side).empty() || !batch.rows[r].failure.empty()) continue;
      prob[r] = std::exp(of.log_probability.const_data_ptr<double>()[r]);
      rank[r] = static_cast<std::int32_t>(of.rank.const_data_ptr<std::int64_t>()[r]);
    }
    return of.log_sum_exp;
  };
  const at::Tensor of_source =
      fill(&AnswerTokens::source, columns::answer_prob_source, columns::answer_rank_source);
  const at::Tensor of_base =
      fill(&AnswerTokens::base, columns::answer_prob_base, columns::answer_rank_base);
  for (std::int64_t r = 0; r < R; ++r)
    if (answers[r].differ() && batch.rows[r].failure.empty())
      (*logit_diff)[r] =
          of_source.const_data_ptr<double>()[r] - of_base.const_data_ptr<double>()[r];
}

}  // namespace rvsweep
