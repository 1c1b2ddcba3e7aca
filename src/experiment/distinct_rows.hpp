#pragma once
// Greedy rows that would generate the same are generated once: pairs that share a prompt, as those
// of pairing=cross and random:K do, share its unpatched arms.
#include "experiment/decode.hpp"

namespace rvsweep {

struct DistinctRows {
  RowBatch batch;
  std::vector<std::int64_t> slot_of;  // of every row of the bundle, in `batch`
};

/// The rows that have to be decoded, in their order: where the temperature is 0, the first of those
/// that are compiled to the same.
DistinctRows distinct_rows(const PreparedBundle& prepared);

/// A tensor by slots as one by rows: [slots, ...] to [rows, ...].
at::Tensor by_row(const at::Tensor& by_slot, const DistinctRows& distinct);

/// The batch of the distinct rows as that of the whole bundle, padded to shape.rows; rows that are
/// the same share their row of the cache.
DecodedBatch whole_batch(DecodedBatch batch, const DistinctRows& distinct,
                         const BundleShape& shape);

}  // namespace rvsweep
