#pragma once
// What follows from a bundle's rows and prompts once they are all there.
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Slots of long prompts: those that some row reads are kept whole, of others the last `least`
/// cells, on which their geometry is measured. A prompt has `least` columns at least. Does nothing
/// to a bundle of short ones.
void give_columns(std::int64_t least, PlannedBundle& bundle);

/// PlannedBundle::cost. Attention over long prompts counts as the tokens that take as many
/// operations.
double tokens_fed(const PlannedBundle& bundle, const SweepConfig& config, const ModelConfig& model);

}  // namespace rvsweep
