#pragma once
// Attention by libtorch, right in every dtype on every device.
#include "rvsweep/kernels/operations.hpp"

namespace rvsweep::aten {

/// mask [B, 1, T, C] of the placement's dtype: 0 where a cell is seen, -inf where not; in float32
/// ln n where it counts n times. 16 bits do not hold ln n: rows that need it are told apart. None
/// where attention is causal: it would grow by the square of the prompt, but for blocks of queries
/// that see a window.
AttentionBias attention_bias(const Visibility& seen, const QueryColumns& queries,
                             std::int64_t group, const Placement& placement);

/// scaled_dot_product_attention (SDPA) where a fused kernel takes the shape, float32 products for
/// rows and shapes that none takes. A row's bits depend on the batch's shape, not on what other
/// rows see.
at::Tensor attention(const at::Tensor& q, const CacheCells& cells, const AttentionBias& bias,
                     const Scores& scores);

/// The same by float32 products throughout, in every dtype; the only one with a soft cap.
at::Tensor float32_attention(const at::Tensor& q, const CacheCells& cells,
                             const AttentionBias& bias, const Scores& scores);

/// SDPA with the query heads of a KV head stacked along the query axis, head by head. mask
/// [B, 1, g*T, C], of any dtype that the device's SDPA takes.
at::Tensor stacked_attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& mask,
                             double scale);

/// SDPA of as many queries as there are cells, each of which sees those up to its own, the last
/// `window` of them (0: all).
at::Tensor causal_attention(const at::Tensor& q, const CacheCells& cells, double scale,
                            std::int64_t window);

}  // namespace rvsweep::aten
