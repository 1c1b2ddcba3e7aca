#pragma once
// One sampler for all arms: temperature, top-k, top-p, then inverse CDF in vocabulary order.
#include <ATen/core/Tensor.h>

#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

/// The next token of every row. logits [rows, vocab] float32; uniforms [rows] float64 in [0, 1).
/// Filters in Hugging Face's order, softmax in float32, running sum in float64: the token is the
/// first whose running sum exceeds uniform * total. Temperature 0 takes the largest logit, the
/// lowest id of equals. Returns [rows] int64. Rows whose logits are not finite give some token;
/// check them before.
at::Tensor sample_tokens(const Operations& operations, const at::Tensor& logits,
                         const at::Tensor& uniforms, const GenerationConfig& generation);

}  // namespace rvsweep
