#include "kernels/cpu/argmax.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t block = 1024;  // numbers that are compared before a place is looked for

template <class Number>
RVSWEEP_INLINE std::int64_t place_of_largest_in(const Number* row, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  std::int64_t first = 0;  // of the block that holds it
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const std::int64_t end = std::min(begin + block, n);
    float of_block = largest;
#pragma omp simd reduction(max : of_block)
    for (std::int64_t i = begin; i < end; ++i)
      of_block = wide(row[i]) > of_block ? wide(row[i]) : of_block;
    if (of_block > largest) {
      largest = of_block;
      first = begin;
    }
  }
  const Number* const end = row + std::min(first + block, n);
  const Number* const found =
      std::find_if(row + first, end, [=](Number x) { return wide(x) == largest; });
  return found == end ? 0 : found - row;
}
RVSWEEP_TARGET_CLONES std::int64_t place_of_largest(const float* row, std::int64_t n) {
  return place_of_largest_in(row, n);
}
RVSWEEP_TARGET_CLONES std::int64_t place_of_largest(const std::uint16_t* row, std::int64_t n) {
  return place_of_largest_in(row, n);
}

/// Infinity and NaN less themselves are NaN, everything else is 0.
template <class Number>
RVSWEEP_INLINE bool all_finite(const Number* row, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += wide(row[i]) - wide(row[i]);
  return sum == 0;
}
RVSWEEP_TARGET_CLONES bool is_finite(const float* row, std::int64_t n) {
  return all_finite(row, n);
}
RVSWEEP_TARGET_CLONES bool is_finite(const std::uint16_t* row, std::int64_t n) {
  return all_finite(row, n);
}

/// One number per row of `logits`, made by `work(row, n)`.
template <class Result, class Work>
at::Tensor by_row(const at::Tensor& logits, at::ScalarType type, const Work& work) {
  const at::Tensor in = logits.contiguous();
  const auto rows = in.size(0), n = in.size(1);
  const at::Tensor out = at::empty({rows}, type);
  Result* const to = out.data_ptr<Result>();
  const auto for_every_row = [&](const auto* from) {
    at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) to[r] = work(from + r * n, n);
    });
  };
  if (in.scalar_type() == at::kFloat)
    for_every_row(in.const_data_ptr<float>());
  else
    for_every_row(static_cast<const std::uint16_t*>(in.const_data_ptr()));
  return out;
}

bool has_own_loops(const at::Tensor& logits) {
  return logits.is_cpu() &&
         (logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kBFloat16);
}

}  // namespace

at::Tensor largest_logits(const at::Tensor& logits) {
  if (!has_own_loops(logits)) return logits.argmax(-1);
  return by_row<std::int64_t>(
      logits, at::kLong, [](const auto* row, std::int64_t n) { return place_of_largest(row, n); });
}

at::Tensor finite_rows(const at::Tensor& logits) {
  if (!has_own_loops(logits)) return logits.sum(-1, /*keepdim=*/false, at::kDouble).isfinite();
  return by_row<bool>(logits, at::kBool,
                      [](const auto* row, std::int64_t n) { return is_finite(row, n); });
}

}  // namespace rvsweep
