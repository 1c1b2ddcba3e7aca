#include "rvsweep/model/rotary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

/// Low frequencies are slowed by `factor`, high ones kept, those between blended.
float llama3_scaled(float frequency, const RopeConfig& rope) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const double context = rope.original_max_position_embeddings;
  if (wavelength > context / rope.low_freq_factor)
    return static_cast<float>(frequency / rope.factor);
  if (wavelength < context / rope.high_freq_factor) return frequency;
  const double share = (context / wavelength - rope.low_freq_factor) /
                       (rope.high_freq_factor - rope.low_freq_factor);
  return static_cast<float>((1.0 - share) * frequency / rope.factor + share * frequency);
}

float scaled(float frequency, const RopeConfig& rope) {
  if (rope.type == RopeType::linear) return static_cast<float>(frequency / rope.factor);
  return rope.type == RopeType::llama3 ? llama3_scaled(frequency, rope) : frequency;
}

/// One head of 2 * half numbers, rounded where `rotate` rounds.
template <class Number>
RVSWEEP_INLINE void rotate_head(Number* __restrict x, const float* __restrict cos,
                                const float* __restrict sin, std::int64_t half) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = wide(x[i]), b = wide(x[half + i]);
    Number c, s, a_c, b_c;
    narrow(cos[i], c);
    narrow(sin[i], s);
    narrow(a * wide(c), a_c);
    narrow(b * wide(c), b_c);
    narrow(wide(a_c) - b * wide(s), x[i]);
    narrow(wide(b_c) + a * wide(s), x[half + i]);
  }
}

RVSWEEP_TARGET_CLONES void rotate_row(float* x, const float* cos, const float* sin,
                                      std::int64_t heads, std::int64_t half) {
  for (std::int64_t h = 0; h < heads; ++h) rotate_head(x + 2 * h * half, cos, sin, half);
}
RVSWEEP_TARGET_CLONES void rotate_row(std::uint16_t* x, const float* cos, const float* sin,
                                      std::int64_t heads, std::int64_t half) {
  for (std::int64_t h = 0; h < heads; ++h) rotate_head(x + 2 * h * half, cos, sin, half);
}

template <class Number>
void rotate_on_cpu(const at::Tensor& x, const Rotation& rotation) {
  const auto B = x.size(0), T = x.size(1), heads = x.size(2), hd = x.size(3);
  RVSWEEP_EXPECT(x.stride(2) == hd && x.stride(3) == 1 && x.stride(0) == T * x.stride(1),
                 "a token's heads are neighbours");
  auto* const tokens = static_cast<Number*>(x.data_ptr());
  const float* const cos = rotation.cos.const_data_ptr<float>();
  const float* const sin = rotation.sin.const_data_ptr<float>();
  constexpr std::int64_t rows_per_task = 16;
  at::parallel_for(0, B * T, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      rotate_row(tokens + r * x.stride(1), cos + r * hd / 2, sin + r * hd / 2, heads, hd / 2);
  });
}

}  // namespace

at::Tensor inverse_frequencies(const ModelConfig& config) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    const auto frequency = static_cast<float>(1.0 / std::pow(config.rope.theta, exponent));
    frequencies.push_back(scaled(frequency, config.rope));
  }
  return at::tensor(frequencies, at::kFloat);
}

Rotation rotation_at(const at::Tensor& positions, const at::Tensor& inverse_frequencies) {
  const at::Tensor angle = positions.to(at::kFloat).unsqueeze(-1) * inverse_frequencies;
  return {angle.cos(), angle.sin()};
}

at::Tensor rotate(const at::Tensor& x, const Rotation& rotation) {
  const auto half = x.size(-1) / 2;
  const at::Tensor cos = rotation.cos.to(x.scalar_type());
  const at::Tensor sin = rotation.sin.to(x.scalar_type());
  const at::Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  at::Tensor rotated = at::empty(x.sizes(), x.options());
  at::Tensor first = rotated.narrow(-1, 0, half), second = rotated.narrow(-1, half, half);
  at::mul_out(first, a, cos).addcmul_(b, sin, -1);
  at::mul_out(second, b, cos).addcmul_(a, sin);
  return rotated;
}

void rotate_heads(const at::Tensor& x, const Rotation& rotation) {
  if (x.is_cpu() && x.scalar_type() == at::kFloat) return rotate_on_cpu<float>(x, rotation);
  if (x.is_cpu() && x.scalar_type() == at::kBFloat16)
    return rotate_on_cpu<std::uint16_t>(x, rotation);
  x.copy_(rotate(x, {rotation.cos.unsqueeze(2), rotation.sin.unsqueeze(2)}));
}

}  // namespace rvsweep
