#include "experiment/sampler.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/nextafter.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

namespace rvsweep {
namespace {

constexpr float removed = -std::numeric_limits<float>::infinity();

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
  at::Tensor drop = sorted.softmax(-1).cumsum(-1) <= 1.0 - p;
  drop.narrow(-1, drop.size(-1) - 1, 1).fill_(false);
  return logits.masked_fill(at::zeros_like(drop).scatter_(-1, order, drop), removed);
}

}  // namespace

at::Tensor sample_tokens(const Operations& operations, const at::Tensor& logits,
                         const at::Tensor& uniforms, const GenerationConfig& generation) {
  if (generation.temperature == 0.0) return operations.argmax(logits);
  at::Tensor kept = logits.to(at::kFloat) / generation.temperature;
  kept = keep_top_p(keep_top_k(kept, generation.top_k), generation.top_p);
  const at::Tensor running = kept.softmax(-1).to(at::kDouble).cumsum(-1);  // [rows, vocab]
  const at::Tensor total = running.narrow(-1, running.size(-1) - 1, 1);
  // Rounding must not lift the target to the total itself, beyond which there is no token.
  const at::Tensor below = at::nextafter(total, at::zeros_like(total));
  const at::Tensor target = at::minimum(uniforms.unsqueeze(-1) * total, below);
  return at::searchsorted(running, target, /*out_int32=*/false, /*right=*/true).squeeze(-1);
}

}  // namespace rvsweep
