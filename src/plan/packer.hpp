#pragma once
// Rows laid out in bundles, pairs of like length together.
#include "plan/donors.hpp"
#include "rvsweep/plan/memory_budget.hpp"

namespace rvsweep {

/// The memory of a GPU, beyond which no bundle may go.
struct BundleLimit {
  BundleNeeds needs;
  double weights = 0, device_memory = 0;  // bytes

  /// Whether a bundle of this shape fits beside the weights.
  bool allows(const BundleShape& shape, std::int64_t derived) const;
};

/// Fills plan.bundles from its rows. A bundle holds the rows of as many pairs as fit, with every
/// prompt that one of them needs. What `before`, if any, has in its bundles stays there. Without a
/// limit bundles are a CPU's. Returns whether the limit ended one before plan.bundle_rows; throws
/// InputError naming a row that exceeds it alone.
bool pack_bundles(Plan& plan, const SweepConfig& config, const ModelConfig& model,
                  const Donors& donors, const Plan* before, const BundleLimit* limit = nullptr);

}  // namespace rvsweep
