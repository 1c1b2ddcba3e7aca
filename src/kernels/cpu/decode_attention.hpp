#pragma once
// Attention of one query per row on a CPU, where libtorch's kernel spends most of its time on
// setting up products of a few rows (tests/perf/profiles.md).
#include <ATen/core/Tensor.h>

namespace rvsweep {

/// softmax(scale * q k^T + bias) v for every row and head, scores and sums in float32. float32 or
/// bfloat16 on the CPU; a row's bits depend on nothing but that row and C.
/// q [B, nh, hd], keys and values [B, nkv, C, hd] with cells of hd neighbouring numbers, bias
/// float32 [B, C]; returns [B, nh, hd]. Query heads h*nh/nkv.. share KV head h.
at::Tensor decode_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& bias, double scale);

}  // namespace rvsweep
