#include "rvsweep/model/rotary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>
#include <vector>

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

}  // namespace rvsweep
