#include "kernels/cpu/rms_norm.hpp"

#include <ATen/ops/empty_like.h>

#include <cmath>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"

namespace rvsweep::cpu {
namespace {

/// One row of H elements.
template <class T>
RVSWEEP_INLINE void norm_row(NormKind kind, const T* __restrict x, const T* __restrict weight,
                             std::int64_t H, float eps, T* __restrict out) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < H; ++i) squares += to_float(x[i]) * to_float(x[i]);
  const float scale = 1.0F / std::sqrt(squares / static_cast<float>(H) + eps);
  if (kind == NormKind::rms) {
#pragma omp simd
    for (std::int64_t i = 0; i < H; ++i) {
      T quotient;
      round_to(to_float(x[i]) * scale, quotient);
      round_to(to_float(quotient) * to_float(weight[i]), out[i]);
    }
    return;
  }
  const float added = kind == NormKind::rms_plus_one ? 1.0F : 0.0F;
#pragma omp simd
  for (std::int64_t i = 0; i < H; ++i)
    round_to(to_float(x[i]) * scale * (to_float(weight[i]) + added), out[i]);
}

RVSWEEP_TARGET_CLONES void norm_rows(NormKind kind, const float* x, const float* weight,
                                     std::int64_t rows, std::int64_t H, float eps, float* out) {
  for (std::int64_t r = 0; r < rows; ++r) norm_row(kind, x + r * H, weight, H, eps, out + r * H);
}
RVSWEEP_TARGET_CLONES void norm_rows(NormKind kind, const std::uint16_t* x,
                                     const std::uint16_t* weight, std::int64_t rows, std::int64_t H,
                                     float eps, std::uint16_t* out) {
  for (std::int64_t r = 0; r < rows; ++r) norm_row(kind, x + r * H, weight, H, eps, out + r * H);
}

template <class T>
at::Tensor norm_of(const at::Tensor& x, const Norm& norm) {
  const at::Tensor in = x.contiguous(), out = at::empty_like(in);
  const auto H = in.size(-1), rows = in.numel() / H;
  const auto* const from = static_cast<const T*>(in.const_data_ptr());
  const auto* const factors = static_cast<const T*>(norm.weight.const_data_ptr());
  const auto eps = static_cast<float>(norm.eps);
  auto* const to = static_cast<T*>(out.data_ptr());
  constexpr std::int64_t rows_per_task = 16;
  at::parallel_for(0, rows, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    norm_rows(norm.kind, from + begin * H, factors, end - begin, H, eps, to + begin * H);
  });
  return out;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const Norm& norm) {
  return x.scalar_type() == at::kFloat ? norm_of<float>(x, norm) : norm_of<std::uint16_t>(x, norm);
}

}  // namespace rvsweep::cpu
