#pragma once
// What logits say about two runs. All sums over the vocabulary are float64, in nats, at temperature
// 1.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rvsweep {

/// KL(p || q) of the distributions of two logits tensors [rows, vocab]: float64 [rows], >= 0 up to
/// rounding.
at::Tensor kl_divergence(const at::Tensor& p_logits, const at::Tensor& q_logits);

/// Log-probability of one token per row: logits [rows, vocab], tokens int64 [rows]; float64 [rows].
at::Tensor token_log_probability(const at::Tensor& logits, const at::Tensor& tokens);

/// log sum exp of the logits of `tokens` less that of `others`: float64 [rows]; the difference of
/// the two sets' log-probabilities.
at::Tensor log_sum_exp_difference(const at::Tensor& logits, const std::vector<std::int64_t>& tokens,
                                  const std::vector<std::int64_t>& others);

}  // namespace rvsweep
