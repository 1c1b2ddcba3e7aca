#pragma once
// One pass each over the logits; libtorch's argmax takes as long as a layer
// (tests/perf/profiles.md).
#include <ATen/core/Tensor.h>

namespace rvsweep::cpu {

/// Token of the largest of every row, the first of equals; any where a row is not finite.
/// logits [rows, vocab], float32 or bfloat16; int64 [rows].
at::Tensor argmax(const at::Tensor& logits);

/// Whether all elements of a row are finite: bool [rows].
at::Tensor finite_rows(const at::Tensor& logits);

}  // namespace rvsweep::cpu
