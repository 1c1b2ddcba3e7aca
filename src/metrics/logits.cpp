#include "rvsweep/metrics/logits.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

namespace rvsweep {
namespace {

at::Tensor log_probabilities(const at::Tensor& logits) {
  return logits.to(at::kDouble).log_softmax(-1);
}

}  // namespace

at::Tensor kl_divergence(const at::Tensor& p_logits, const at::Tensor& q_logits) {
  const at::Tensor log_p = log_probabilities(p_logits);
  return (log_p.exp() * (log_p - log_probabilities(q_logits))).sum(-1);
}

at::Tensor token_log_probability(const at::Tensor& logits, const at::Tensor& tokens) {
  const at::Tensor wide = logits.to(at::kDouble);
  return wide.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - wide.logsumexp({-1});
}

at::Tensor log_sum_exp_difference(const at::Tensor& logits, const std::vector<std::int64_t>& tokens,
                                  const std::vector<std::int64_t>& others) {
  const auto log_sum_exp = [&](const std::vector<std::int64_t>& of) {
    const at::Tensor index = at::tensor(of, at::kLong).to(logits.device());
    return logits.index_select(-1, index).to(at::kDouble).logsumexp({-1});
  };
  return log_sum_exp(tokens) - log_sum_exp(others);
}

}  // namespace rvsweep
