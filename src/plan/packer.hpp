#pragma once
// Rows laid out in bundles, pairs of like length together.
#include "plan/donors.hpp"

namespace rvsweep {

/// Fills plan.bundles from its rows. A bundle holds the rows of as many pairs as fit, with every
/// prompt that one of them needs. What `before`, if any, has in its bundles stays there.
void pack_bundles(Plan& plan, const SweepConfig& config, const ModelConfig& model,
                  const Donors& donors, const Plan* before);

}  // namespace rvsweep
