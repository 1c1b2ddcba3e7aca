#include "rvsweep/metrics/spectra.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rvsweep {
namespace {

/// Eigenvalues of a float64 Gram matrix above this share of the largest are right to nine digits.
constexpr double least_eigenvalue = 1e-6;

template <class Term>
double sum_over(std::span<const double> sigma, Term term) {
  double total = 0;
  for (const double s : sigma) total += term(s);
  return total;
}

double sum_of_squares(std::span<const double> sigma) {
  return sum_over(sigma, [](double s) { return s * s; });
}

/// -share ln share; a share of 0 adds nothing, a NaN share (an all-zero block) stays NaN.
double entropy_term(double share) { return share == 0 ? 0.0 : -share * std::log(share); }

}  // namespace

at::Tensor singular_values(const at::Tensor& blocks) {
  const bool is_wide = blocks.size(-2) <= blocks.size(-1);
  const at::Tensor wide = (is_wide ? blocks : blocks.transpose(-2, -1)).to(at::kDouble);
  const at::Tensor all =
      wide.reshape({-1, wide.size(-2), wide.size(-1)});  // [blocks, n, m], n <= m
  // The rest is the host's: a GPU would make it wait for every call of LAPACK's.
  at::Tensor gram = all.matmul(all.transpose(1, 2)).to(at::kCPU);
  const at::Tensor finite = gram.sum({1, 2}).isfinite();  // [blocks]
  const bool all_finite = finite.all().item<bool>();
  if (!all_finite) gram = at::where(finite.view({-1, 1, 1}), gram, 0.0);
  const at::Tensor squares = at::linalg_eigvalsh(gram).flip(1);
  at::Tensor sigma = squares.clamp_min(0).sqrt();
  if (!all_finite)
    sigma.masked_fill_(~finite.unsqueeze(1), std::numeric_limits<double>::quiet_NaN());
  const at::Tensor tails =  // blocks that have one
      (finite & (squares.select(1, -1) <= least_eigenvalue * squares.select(1, 0)))
          .nonzero()
          .squeeze(1);
  // LAPACK is quicker with tall blocks than with wide ones, which have the same singular values.
  if (tails.numel() > 0) {
    const at::Tensor with_tail = all.index_select(0, tails.to(all.device())).to(at::kCPU);
    sigma.index_copy_(0, tails, at::linalg_svdvals(with_tail.transpose(1, 2)));
  }
  auto sizes = blocks.sizes().vec();
  sizes.pop_back();
  sizes.back() = sigma.size(1);
  return sigma.view(sizes);
}

at::Tensor centred_gram_sums(const at::Tensor& blocks) {
  const at::Tensor rows = blocks.to(at::kDouble);
  const at::Tensor centred = rows - rows.mean({-2}, /*keepdim=*/true);
  const at::Tensor gram = centred.matmul(centred.transpose(-2, -1));
  const at::Tensor diagonal = gram.diagonal(0, -2, -1);
  return at::stack({diagonal.sum(-1), gram.square().sum({-2, -1}), diagonal.square().sum(-1)}, -1);
}

double centred_participation_ratio(std::span<const double> sums) {
  return sums[0] * sums[0] / sums[1];
}

double corrected_participation_ratio(std::span<const double> sums, std::int64_t W) {
  const auto n = static_cast<double>(W);
  const double trace = sums[0] * sums[0], squares = sums[1], diagonal = n * (n - 1) * sums[2];
  const double of_square = (n * n - 3 * n + 1) * trace + 2 * squares - diagonal,
               of_squares = (n - 1) * (n - 2) * squares + trace - diagonal;
  // Rows that are all equal but for rounding have neither.
  if (W < 4 || !(of_squares > 1e-12 * trace)) return std::numeric_limits<double>::quiet_NaN();
  return of_square / of_squares;
}

double participation_ratio(std::span<const double> sigma) {
  const double trace = sum_of_squares(sigma);
  return trace * trace / sum_over(sigma, [](double s) { return s * s * s * s; });
}

double effective_rank(std::span<const double> sigma) {
  const double total = sum_over(sigma, [](double s) { return s; });
  return std::exp(sum_over(sigma, [&](double s) { return entropy_term(s / total); }));
}

double spectral_entropy(std::span<const double> sigma) {
  const double total = sum_of_squares(sigma);
  return sum_over(sigma, [&](double s) { return entropy_term(s * s / total); });
}

double stable_rank(std::span<const double> sigma) {
  const double largest = *std::max_element(sigma.begin(), sigma.end());
  return sum_of_squares(sigma) / (largest * largest);
}

double nuclear_ratio(std::span<const double> sigma) {
  const double total = sum_over(sigma, [](double s) { return s; });
  return total * total / sum_of_squares(sigma);
}

}  // namespace rvsweep
