#pragma once
// Blocks in which attention is computed where one call would take too much memory. As in
// plan/canonical_shapes.hpp these numbers decide results; kernels compute by them, the plan's
// memory counts by them.
#include <cstdint>

namespace rvsweep::attention_blocks {

/// Rows whose attention is computed in float32 at once. A batch of fewer than so many of them is
/// filled up: cuBLAS may choose another product for another number of rows.
inline constexpr std::int64_t float32_rows = 8;
/// Its largest transient, in elements.
inline constexpr std::int64_t float32_scores = 1 << 24;
/// Queries of causal attention that share the mask of their windows.
inline constexpr std::int64_t windowed_queries = 512;

}  // namespace rvsweep::attention_blocks
