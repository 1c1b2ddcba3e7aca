#pragma once
// Attention of one query per row, where libtorch's kernel spends most of its time on setting up
// products of a few rows (tests/perf/profiles.md).
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep::cpu {

/// Operations::attention of one query for every row and head, scores and sums in float32; a row's
/// bits depend on nothing but that row and C. float32 or bfloat16; q [B, nh, hd], bias float32 [B,
/// C]; returns [B, nh, hd]. Query heads [i nh/nkv, (i+1) nh/nkv) share KV head i.
at::Tensor decode_attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                            const Scores& scores);

}  // namespace rvsweep::cpu
