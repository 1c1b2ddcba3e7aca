#include "model/rotary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

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

/// Frequencies that turn often within the original context are kept, those that turn seldom are
/// slowed by `factor`, with a ramp over the indices i between.
float yarn_scaled(float frequency, std::int64_t i, std::int64_t rotary_dim,
                  const RopeConfig& rope) {
  const auto dim = static_cast<double>(rotary_dim);
  const auto index_of = [&](double turns) {
    const double wavelength = rope.original_max_position_embeddings / turns / 2 / std::numbers::pi;
    return dim * std::log(wavelength) / (2 * std::log(rope.theta));
  };
  double low = index_of(rope.beta_fast), high = index_of(rope.beta_slow);
  if (rope.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  return static_cast<float>(frequency / rope.factor * slowed + frequency * (1 - slowed));
}

float scaled(float frequency, std::int64_t i, std::int64_t rotary_dim, const RopeConfig& rope) {
  switch (rope.type) {
    case RopeType::default_:
      return frequency;
    case RopeType::linear:
      return static_cast<float>(frequency / rope.factor);
    case RopeType::llama3:
      return llama3_scaled(frequency, rope);
    case RopeType::yarn:
      return yarn_scaled(frequency, i, rotary_dim, rope);
    case RopeType::longrope:
      return static_cast<float>(frequency / rope.divisors.at(static_cast<std::size_t>(i)));
  }
  RVSWEEP_UNREACHABLE("a rotation of no type");
}

}  // namespace

at::Tensor inverse_frequencies(const RopeConfig& rope, std::int64_t rotary_dim) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < rotary_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rotary_dim);
    const auto frequency = static_cast<float>(1.0 / std::pow(rope.theta, exponent));
    frequencies.push_back(scaled(frequency, i, rotary_dim, rope));
  }
  return at::tensor(frequencies, at::kFloat);
}

Rotation rotation_at(const at::Tensor& positions, const at::Tensor& inverse_frequencies) {
  const at::Tensor angle = positions.to(at::kFloat).unsqueeze(-1) * inverse_frequencies;
  return {angle.cos(), angle.sin()};
}

}  // namespace rvsweep
