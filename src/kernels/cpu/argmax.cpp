#include "kernels/cpu/argmax.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"

namespace rvsweep::cpu {
namespace {

constexpr std::int64_t block =
    1024;  // elements whose maximum is taken before its index is searched

template <class T>
RVSWEEP_INLINE std::int64_t argmax_of(const T* row, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  std::int64_t first = 0;  // of the block that holds it
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const std::int64_t end = std::min(begin + block, n);
    float of_block = largest;
#pragma omp simd reduction(max : of_block)
    for (std::int64_t i = begin; i < end; ++i)
      of_block = to_float(row[i]) > of_block ? to_float(row[i]) : of_block;
    if (of_block > largest) {
      largest = of_block;
      first = begin;
    }
  }
  const T* const end = row + std::min(first + block, n);
  const T* const found =
      std::find_if(row + first, end, [=](T x) { return to_float(x) == largest; });
  return found == end ? 0 : found - row;
}
RVSWEEP_TARGET_CLONES std::int64_t argmax_of_row(const float* row, std::int64_t n) {
  return argmax_of(row, n);
}
RVSWEEP_TARGET_CLONES std::int64_t argmax_of_row(const std::uint16_t* row, std::int64_t n) {
  return argmax_of(row, n);
}

/// Infinity and NaN less themselves are NaN, everything else is 0.
template <class T>
RVSWEEP_INLINE bool all_finite(const T* row, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += to_float(row[i]) - to_float(row[i]);
  return sum == 0;
}
RVSWEEP_TARGET_CLONES bool is_finite(const float* row, std::int64_t n) {
  return all_finite(row, n);
}
RVSWEEP_TARGET_CLONES bool is_finite(const std::uint16_t* row, std::int64_t n) {
  return all_finite(row, n);
}

/// work(row, n) of every row of `logits`.
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

}  // namespace

at::Tensor argmax(const at::Tensor& logits) {
  return by_row<std::int64_t>(
      logits, at::kLong, [](const auto* row, std::int64_t n) { return argmax_of_row(row, n); });
}

at::Tensor finite_rows(const at::Tensor& logits) {
  return by_row<bool>(logits, at::kBool,
                      [](const auto* row, std::int64_t n) { return is_finite(row, n); });
}

}  // namespace rvsweep::cpu
