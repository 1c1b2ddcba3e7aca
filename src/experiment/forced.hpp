#pragma once
// Teacher forcing: rows and their unpatched references read the same continuation.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// kl_forced_* and logprob_*: every row, its patch included, is fed the greedy unpatched
/// continuation of its reference prompt and then that of the pair's other one.
void fill_forced(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
