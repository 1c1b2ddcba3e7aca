#pragma once
// Greedy rows that would generate the same are generated once: pairs that share a prompt, as those
// of pairing=cross and random:K do, share its unpatched arms.
#include "rvsweep/experiment/generation.hpp"

namespace rvsweep {

struct DistinctRows {
  Bundle bundle;                      // rows and their padded number alone differ
  std::vector<std::int64_t> slot_of;  // of every row of the whole bundle, in `bundle`
};

/// The rows that have to be decoded, in their order: where the temperature is 0, the first of those
/// with equal plans.
DistinctRows distinct_rows(const SweepSettings& settings, const Bundle& bundle,
                           const ModelConfig& config);

/// A tensor by slots as one by rows: [slots, ...] to [rows, ...].
at::Tensor by_row(const at::Tensor& by_slot, const DistinctRows& distinct);

/// The batch of the distinct rows as that of the whole bundle, whose plans are `plans`.
DecodedBatch whole_batch(DecodedBatch batch, const DistinctRows& distinct,
                         std::vector<CompiledRow> plans);

}  // namespace rvsweep
