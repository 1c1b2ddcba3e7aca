#pragma once
// Rotary position embedding: what a model's positions rotate by.
#include <ATen/core/Tensor.h>

#include "rvsweep/kernels/rotation.hpp"
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Inverse frequencies, float32 [rotary_dim/2], scaled as the type says (Chen et al. 2023, position
/// interpolation; Llama 3.1 model card; Peng et al. 2023, YaRN; all as in transformers'
/// modeling_rope_utils).
at::Tensor inverse_frequencies(const RopeConfig& rope, std::int64_t rotary_dim);

/// Rotation by position * frequency, shape of `positions` with rotary_dim/2 appended.
Rotation rotation_at(const at::Tensor& positions, const at::Tensor& inverse_frequencies);

}  // namespace rvsweep
