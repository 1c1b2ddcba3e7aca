#pragma once
// Rotary position embedding: what a model's positions rotate by.
#include <ATen/core/Tensor.h>

#include "rvsweep/kernels/rotation.hpp"
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// Inverse frequencies, float32 [head_dim/2], linear or llama3 scaling applied (Chen et al. 2023,
/// position interpolation; Llama 3.1 model card; both as in transformers' modeling_rope_utils).
at::Tensor inverse_frequencies(const ModelConfig& config);

/// Rotation by position * frequency, shape of `positions` with head_dim/2 appended.
Rotation rotation_at(const at::Tensor& positions, const at::Tensor& inverse_frequencies);

}  // namespace rvsweep
