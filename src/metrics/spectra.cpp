#include "rvsweep/metrics/spectra.hpp"

#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rvsweep {
namespace {

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
  // LAPACK is quicker with tall blocks than with wide ones, which have the same singular values.
  const bool is_tall = blocks.size(-2) >= blocks.size(-1);
  const at::Tensor wide = (is_tall ? blocks : blocks.transpose(-2, -1)).to(at::kDouble);
  const at::Tensor finite = wide.sum({-2, -1}).isfinite();  // [...]
  if (finite.all().item<bool>()) return at::linalg_svdvals(wide);
  const at::Tensor safe = at::where(finite.unsqueeze(-1).unsqueeze(-1), wide, 0.0);
  return at::where(finite.unsqueeze(-1), at::linalg_svdvals(safe),
                   std::numeric_limits<double>::quiet_NaN());
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
