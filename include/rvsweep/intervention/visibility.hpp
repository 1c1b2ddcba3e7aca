#pragma once
// What the fed tokens of every row see: growth as integers.
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/model/kv_cache.hpp"

namespace rvsweep {

/// Columns [0, T) hold the prompt's cells, T = `prompt_columns`; column T + t the t-th fed token (t
/// from 0). At a patched layer P, the cells of the donor, grows as the row says:
///   append    P and all fed tokens;
///   frozen    P and the token being fed;
///   compound  P counted t + 1 times, and all fed tokens.
/// The same for every step from `step` up to the next at which a cache is patched, and for such
/// steps that are fed at once.
LayerVisibility visibility_of(const std::vector<CompiledRow>& rows, std::int64_t n_layers,
                              std::int64_t prompt_columns, std::int64_t step = 0);

}  // namespace rvsweep
