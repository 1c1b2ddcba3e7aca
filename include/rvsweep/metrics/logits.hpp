#pragma once
// Comparisons of logits. Sums over the vocabulary are float64, in nats, at temperature 1.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rvsweep {

/// log p of every token: [rows, vocab], float64.
at::Tensor log_probabilities(const at::Tensor& logits);

/// KL(p || q), q being row r of log_q [rows, vocab] and p row p_of[r] of log_p [contexts, vocab];
/// p_of int64 [rows]. Returns float64 [rows], >= 0 up to rounding.
at::Tensor kl_divergence(const at::Tensor& log_p, const at::Tensor& log_q, const at::Tensor& p_of);

/// log p of one token per row: log_p [rows, vocab], tokens int64 [rows]; float64 [rows].
at::Tensor token_log_probability(const at::Tensor& log_p, const at::Tensor& tokens);

/// Log-sum-exp of the logits [rows, vocab] of `tokens` minus that of `others`, which is the
/// difference of the two sets' log-probabilities: float64 [rows].
at::Tensor log_sum_exp_difference(const at::Tensor& logits, const std::vector<std::int64_t>& tokens,
                                  const std::vector<std::int64_t>& others);

/// Of a set of tokens for each row; -inf, -inf and the vocabulary's size of an empty one.
struct SetLogits {
  at::Tensor log_sum_exp;      // of its logits, float64 [rows]
  at::Tensor log_probability;  // float64 [rows]
  at::Tensor rank;             // tokens with a logit above the set's largest, int64 [rows]
};

/// logits [rows, vocab]; tokens int64 [rows, most], distinct in a row, -1 beyond a row's set.
SetLogits set_logits(const at::Tensor& logits, const at::Tensor& tokens);

}  // namespace rvsweep
