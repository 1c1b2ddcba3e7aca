#include "rvsweep/experiment/logit_rows.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "rvsweep/core/vector_widths.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t block = 1024;  // numbers that are compared before a place is looked for

RVSWEEP_EVERY_WIDTH std::int64_t place_of_largest(const float* row, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  std::int64_t first = 0;  // of the block that holds it
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const std::int64_t end = std::min(begin + block, n);
    float of_block = largest;
#pragma omp simd reduction(max : of_block)
    for (std::int64_t i = begin; i < end; ++i) of_block = row[i] > of_block ? row[i] : of_block;
    if (of_block > largest) {
      largest = of_block;
      first = begin;
    }
  }
  const float* const end = row + std::min(first + block, n);
  const float* const found = std::find(row + first, end, largest);
  return found == end ? 0 : found - row;
}

/// Infinity and NaN less themselves are NaN, everything else is 0.
RVSWEEP_EVERY_WIDTH bool is_finite(const float* row, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += row[i] - row[i];
  return sum == 0;
}

/// One number per row of `logits`, made by `work(row, n)`.
template <class Number, class Work>
at::Tensor by_row(const at::Tensor& logits, at::ScalarType type, const Work& work) {
  const at::Tensor in = logits.contiguous();
  const auto rows = in.size(0), n = in.size(1);
  const at::Tensor out = at::empty({rows}, type);
  const float* const from = in.const_data_ptr<float>();
  Number* const to = out.data_ptr<Number>();
  at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) to[r] = work(from + r * n, n);
  });
  return out;
}

}  // namespace

at::Tensor largest_logits(const at::Tensor& logits) {
  if (!logits.is_cpu()) return logits.argmax(-1);
  return by_row<std::int64_t>(logits, at::kLong, place_of_largest);
}

at::Tensor finite_rows(const at::Tensor& logits) {
  if (!logits.is_cpu()) return logits.sum(-1, /*keepdim=*/false, at::kDouble).isfinite();
  return by_row<bool>(logits, at::kBool, is_finite);
}

}  // namespace rvsweep
