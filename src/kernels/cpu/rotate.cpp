#include "kernels/cpu/rotate.hpp"

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::cpu {
namespace {

/// The first 2 * half elements of one head.
template <class T>
RVSWEEP_INLINE void rotate_head(T* __restrict x, const float* __restrict cos,
                                const float* __restrict sin, std::int64_t half, bool in_float32) {
  if (in_float32) {
#pragma omp simd
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = to_float(x[i]), b = to_float(x[half + i]);
      round_to(a * cos[i] - b * sin[i], x[i]);
      round_to(b * cos[i] + a * sin[i], x[half + i]);
    }
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = to_float(x[i]), b = to_float(x[half + i]);
    T c, s, a_c, b_c;
    round_to(cos[i], c);
    round_to(sin[i], s);
    round_to(a * to_float(c), a_c);
    round_to(b * to_float(c), b_c);
    round_to(to_float(a_c) - b * to_float(s), x[i]);
    round_to(to_float(b_c) + a * to_float(s), x[half + i]);
  }
}

RVSWEEP_TARGET_CLONES void rotate_row(float* x, const float* cos, const float* sin,
                                      std::int64_t heads, std::int64_t hd, std::int64_t half,
                                      bool in_float32) {
  for (std::int64_t h = 0; h < heads; ++h) rotate_head(x + h * hd, cos, sin, half, in_float32);
}
RVSWEEP_TARGET_CLONES void rotate_row(std::uint16_t* x, const float* cos, const float* sin,
                                      std::int64_t heads, std::int64_t hd, std::int64_t half,
                                      bool in_float32) {
  for (std::int64_t h = 0; h < heads; ++h) rotate_head(x + h * hd, cos, sin, half, in_float32);
}

template <class Element>
void rotate_tokens(const at::Tensor& x, const Rotation& rotation) {
  const auto B = x.size(0), T = x.size(1), heads = x.size(2), hd = x.size(3);
  RVSWEEP_EXPECT(x.stride(2) == hd && x.stride(3) == 1 && x.stride(0) == T * x.stride(1),
                 "a token's heads must be contiguous");
  auto* const tokens = static_cast<Element*>(x.data_ptr());
  const auto half = rotation.cos.size(-1);
  const float* const cos = rotation.cos.const_data_ptr<float>();
  const float* const sin = rotation.sin.const_data_ptr<float>();
  constexpr std::int64_t rows_per_task = 16;
  at::parallel_for(0, B * T, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      rotate_row(tokens + r * x.stride(1), cos + r * half, sin + r * half, heads, hd, half,
                 rotation.in_float32);
  });
}

}  // namespace

void rotate_heads(const at::Tensor& x, const Rotation& rotation) {
  const auto by_type =
      x.scalar_type() == at::kFloat ? rotate_tokens<float> : rotate_tokens<std::uint16_t>;
  by_type(x, rotation);
}

}  // namespace rvsweep::cpu
