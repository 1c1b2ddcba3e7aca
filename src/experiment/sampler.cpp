#include "experiment/sampler.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/nextafter.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

namespace rvsweep {
namespace {

constexpr float removed = -std::numeric_limits<float>::infinity();

/// Divides by the temperature. Softmax does not see what a row is shifted by: only those whose
/// largest quotient would overflow are, to 0.
at::Tensor tempered(const at::Tensor& logits, double temperature) {
  // Below this the reciprocal, which CUDA multiplies by, is infinite.
  const double divisor = std::max<double>(temperature, std::numeric_limits<float>::min());
  const at::Tensor largest = logits.amax(-1, /*keepdim=*/true);
  const at::Tensor overflows = (largest / divisor).isfinite().logical_not_();
  return (logits - at::where(overflows, largest, 0.0)).div_(divisor);
}

/// Running sums of every row. Of one row alone CUDA makes them by a scan whose order of additions
/// changes from call to call, of several row by row.
at::Tensor running_sums(const at::Tensor& rows) {
  if (rows.size(0) > 1) return rows.cumsum(-1);
  return rows.expand({2, -1}).cumsum(-1).narrow(0, 0, 1);
}

/// Keeps the k largest logits and whatever equals the k-th.
at::Tensor keep_top_k(const at::Tensor& logits, std::int64_t k) {
  if (k == 0 || k >= logits.size(-1)) return logits;
  const at::Tensor kth = std::get<0>(logits.topk(k, -1)).narrow(-1, k - 1, 1);
  return logits.masked_fill(logits < kth, removed);
}

/// Drops the least likely tokens as long as their probabilities sum to at most 1 - p; one is kept.
at::Tensor keep_top_p(const at::Tensor& logits, double p) {
  if (p >= 1.0) return logits;
  const auto [sorted, order] = logits.sort(/*stable=*/true, -1, /*descending=*/false);
  at::Tensor drop = running_sums(sorted.softmax(-1)) <= 1.0 - p;
  drop.narrow(-1, drop.size(-1) - 1, 1).fill_(false);
  return logits.masked_fill(at::zeros_like(drop).scatter_(-1, order, drop), removed);
}

}  // namespace

at::Tensor penalised(const at::Tensor& logits, const at::Tensor& occurred, double penalty) {
  const at::Tensor lowered = at::where(logits < 0, logits * penalty, logits / penalty);
  return at::where(occurred, lowered, logits);
}

ArgMax sample_tokens(const Operations& operations, const at::Tensor& logits,
                     const at::Tensor& uniforms, const GenerationConfig& generation) {
  const at::Tensor finite = operations.finite_rows(logits);
  if (generation.temperature == 0.0) return {operations.argmax(logits), finite};
  at::Tensor kept = tempered(logits.to(at::kFloat), generation.temperature);
  kept = keep_top_p(keep_top_k(kept, generation.top_k), generation.top_p);
  const at::Tensor running = running_sums(kept.softmax(-1).to(at::kDouble));  // [rows, vocab]
  const auto last = running.size(-1) - 1;
  const at::Tensor total = running.narrow(-1, last, 1);
  // Rounding must not lift the target to the total itself, beyond which there is no token.
  const at::Tensor below = at::nextafter(total, at::zeros_like(total));
  const at::Tensor target = at::minimum(uniforms.unsqueeze(-1) * total, below);
  const at::Tensor token = at::searchsorted(running, target, /*out_int32=*/false, /*right=*/true);
  // Nothing exceeds a sum that is not a number.
  return {token.squeeze(-1).clamp_max_(last), total.squeeze(-1).isfinite().logical_and_(finite)};
}

}  // namespace rvsweep
