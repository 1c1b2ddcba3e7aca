#pragma once
// Geometry of a block of V: its singular values and what is derived from them.
// sigma are singular values, lambda = sigma^2, p = lambda/sum(lambda), q = sigma/sum(sigma).
#include <ATen/core/Tensor.h>

#include <span>

namespace rvsweep {

/// Singular values, descending, float64 [..., min(W, D)] on the CPU, of blocks [..., W, D] of any
/// float type on any device. Where the smallest is above a thousandth of the largest: roots of the
/// eigenvalues of the float64 Gram matrix, right to 1e-9 in half the time; else an SVD in float64,
/// because a Gram matrix loses the tail. NaN where a block is not finite.
at::Tensor singular_values(const at::Tensor& blocks);

/// Of the Gram matrix of a block's rows less their mean: trace, sum of squares, sum of the squared
/// diagonal; what the next two are made of.
inline constexpr std::int64_t gram_sums = 3;

/// Those of blocks [..., W, D] of any float type: float64 [..., gram_sums] on their device.
at::Tensor centred_gram_sums(const at::Tensor& blocks);

/// PR of the block less the mean of its rows, in [1, W - 1].
double centred_participation_ratio(std::span<const double> sums);

/// The same with the bias of W rows corrected, as if they were independent draws: the ratio of
/// unbiased estimates of (tr C)^2 and tr C^2, C their covariance (gamma_row of Chun et al. 2025,
/// arXiv 2509.26560; Himeno & Yamada 2014). NaN below 4 rows and where the lower estimate is not
/// above 0.
double corrected_participation_ratio(std::span<const double> sums, std::int64_t W);

/// (sum lambda)^2 / sum lambda^2, in [1, W]. Notebook lines 113-122 call the same number both
/// "effective rank" and "participation ratio". NaN for an all-zero block.
double participation_ratio(std::span<const double> sigma);

/// exp(-sum q ln q) (Roy & Vetterli 2007), in [1, W].
double effective_rank(std::span<const double> sigma);

/// -sum p ln p in nats, in [0, ln W].
double spectral_entropy(std::span<const double> sigma);

/// sum lambda / lambda_max, in [1, W].
double stable_rank(std::span<const double> sigma);

/// (sum sigma)^2 / sum sigma^2, in [1, W]. Some follow-up code calls this PR.
double nuclear_ratio(std::span<const double> sigma);

}  // namespace rvsweep
