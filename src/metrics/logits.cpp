#include "rvsweep/metrics/logits.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <limits>

namespace rvsweep {

at::Tensor log_probabilities(const at::Tensor& logits) {
  return logits.to(at::kDouble).log_softmax(-1);
}

at::Tensor kl_divergence(const at::Tensor& log_p, const at::Tensor& log_q, const at::Tensor& p_of) {
  at::Tensor terms = log_p.index_select(0, p_of).sub_(log_q);
  return terms.mul_(log_p.exp().index_select(0, p_of)).sum(-1);
}

at::Tensor token_log_probability(const at::Tensor& log_p, const at::Tensor& tokens) {
  return log_p.gather(-1, tokens.unsqueeze(-1)).squeeze(-1);
}

at::Tensor log_sum_exp_difference(const at::Tensor& logits, const std::vector<std::int64_t>& tokens,
                                  const std::vector<std::int64_t>& others) {
  const auto log_sum_exp = [&](const std::vector<std::int64_t>& of) {
    const at::Tensor index = at::tensor(of, at::kLong).to(logits.device());
    return logits.index_select(-1, index).to(at::kDouble).logsumexp({-1});
  };
  return log_sum_exp(tokens) - log_sum_exp(others);
}

SetLogits set_logits(const at::Tensor& logits, const at::Tensor& tokens) {
  const at::Tensor beyond = tokens.lt(0), all = logits.to(at::kDouble);
  const at::Tensor of_set = all.gather(-1, tokens.masked_fill(beyond, 0))
                                .masked_fill(beyond, -std::numeric_limits<double>::infinity());
  const at::Tensor log_sum_exp = of_set.logsumexp({-1});
  return {log_sum_exp, log_sum_exp - all.logsumexp({-1}),
          all.gt(of_set.amax({-1}, /*keepdim=*/true)).sum({-1})};
}

}  // namespace rvsweep
