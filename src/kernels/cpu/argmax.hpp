#pragma once
// What every step asks of the logits: on a CPU one pass each, where libtorch's argmax alone takes
// as long as a layer (tests/perf/profiles.md).
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// The place of the largest number of every row, the first of equals; some place where a row is
/// not finite. logits [rows, vocab] in any float format; returns [rows] int64.
at::Tensor largest_logits(const at::Tensor& logits);

/// Both, as Transformer::largest_logits finds them.
struct LargestLogits {
  at::Tensor place;   // int64 [rows]
  at::Tensor finite;  // bool [rows]
};

/// Whether all numbers of a row are finite. logits [rows, vocab] in any float format; returns
/// [rows] bool.
at::Tensor finite_rows(const at::Tensor& logits);

}  // namespace rvsweep
