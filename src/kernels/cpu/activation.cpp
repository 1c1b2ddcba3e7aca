#include "kernels/cpu/activation.hpp"

#include <ATen/ops/empty.h>

#include <vector>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"

namespace rvsweep::cpu {
namespace {

/// x Phi(x). erfc by Abramowitz and Stegun's 7.1.26, to 1.5e-7.
RVSWEEP_INLINE float gelu(float x) {
  const float size = (x < 0 ? -x : x) * 0.70710678F, t = 1.0F / (1.0F + 0.3275911F * size);
  float series = 1.061405429F;
  series = series * t - 1.453152027F;
  series = series * t + 1.421413741F;
  series = series * t - 0.284496736F;
  series = series * t + 0.254829592F;
  const float tail = 0.5F * x * series * t * exponential(-size * size);
  return x < 0 ? tail : x - tail;
}

/// x (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3).
RVSWEEP_INLINE float gelu_tanh(float x) {
  return x / (1.0F + exponential(-1.59576912F * (x + 0.044715F * x * x * x)));
}

RVSWEEP_INLINE float silu(float x) { return x / (1.0F + exponential(-x)); }

/// out [I] = activation of x [I], rounded, times `factor` [I] where there is one.
template <class T, class F>
RVSWEEP_INLINE void activate_row(const T* __restrict x, const T* __restrict factor, std::int64_t I,
                                 T* __restrict out, const F& activation) {
#pragma omp simd
  for (std::int64_t i = 0; i < I; ++i) round_to(activation(to_float(x[i])), out[i]);
  if (factor == nullptr) return;
#pragma omp simd
  for (std::int64_t i = 0; i < I; ++i) round_to(to_float(out[i]) * to_float(factor[i]), out[i]);
}

template <class T>
RVSWEEP_INLINE void activate_as(const Mlp& mlp, const T* x, std::int64_t rows, std::int64_t I,
                                T* out) {
  const auto width = mlp.gated ? 2 * I : I;
  for (std::int64_t r = 0; r < rows; ++r, x += width, out += I) {
    const T* const factor = mlp.gated ? x + I : nullptr;
    if (mlp.activation == Activation::silu)
      activate_row(x, factor, I, out, [](float e) RVSWEEP_LAMBDA { return silu(e); });
    else if (mlp.activation == Activation::gelu)
      activate_row(x, factor, I, out, [](float e) RVSWEEP_LAMBDA { return gelu(e); });
    else
      activate_row(x, factor, I, out, [](float e) RVSWEEP_LAMBDA { return gelu_tanh(e); });
  }
}

RVSWEEP_TARGET_CLONES void activate(const Mlp& mlp, const float* x, std::int64_t rows,
                                    std::int64_t I, float* out) {
  activate_as(mlp, x, rows, I, out);
}
RVSWEEP_TARGET_CLONES void activate(const Mlp& mlp, const std::uint16_t* x, std::int64_t rows,
                                    std::int64_t I, std::uint16_t* out) {
  activate_as(mlp, x, rows, I, out);
}

template <class T>
at::Tensor activated_as(const at::Tensor& y, const Mlp& mlp) {
  const at::Tensor in = y.contiguous();
  const auto width = in.size(-1), I = mlp.gated ? width / 2 : width, rows = in.numel() / width;
  std::vector<std::int64_t> shape = in.sizes().vec();
  shape.back() = I;
  const at::Tensor out = at::empty(shape, in.options());
  const auto* const from = static_cast<const T*>(in.const_data_ptr());
  auto* const to = static_cast<T*>(out.data_ptr());
  constexpr std::int64_t rows_per_task = 4;
  at::parallel_for(0, rows, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    activate(mlp, from + begin * width, end - begin, I, to + begin * I);
  });
  return out;
}

}  // namespace

at::Tensor activated(const at::Tensor& y, const Mlp& mlp) {
  return y.scalar_type() == at::kFloat ? activated_as<float>(y, mlp)
                                       : activated_as<std::uint16_t>(y, mlp);
}

}  // namespace rvsweep::cpu
