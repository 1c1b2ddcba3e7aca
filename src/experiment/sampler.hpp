#pragma once
// One sampler for all arms: temperature, top-k, top-p, then inverse CDF in vocabulary order.
#include <ATen/core/Tensor.h>

#include "rvsweep/kernels/operations.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

/// Logits, float32 [rows, vocab], of which those of tokens that have `occurred` (bool, the same
/// shape) are divided by the penalty where they are positive and multiplied by it elsewhere:
/// transformers' RepetitionPenaltyLogitsProcessor.
at::Tensor penalised(const at::Tensor& logits, const at::Tensor& occurred, double penalty);

/// The next token of every row, and whether its logits and all that is computed from them are
/// finite. logits [rows, vocab]; uniforms [rows] float64 in [0, 1). Filters in Hugging Face's
/// order, softmax(logits / temperature) in float32, running sum in float64: the token is the first
/// whose running sum exceeds uniform * total. Temperature 0 takes the largest logit, the lowest id
/// of equals; temperatures so small that logits / temperature has no float32 take one of the
/// largest. A row that is not finite gives some token of the vocabulary, and no other row notices.
ArgMax sample_tokens(const Operations& operations, const at::Tensor& logits,
                     const at::Tensor& uniforms, const GenerationConfig& generation);

}  // namespace rvsweep
