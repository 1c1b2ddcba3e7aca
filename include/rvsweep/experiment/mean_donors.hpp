#pragma once
// The donors of the mean control.
#include "rvsweep/intervention/derived_donors.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// The mean over the prompts of each donor side; empty for no prompts. Throws DeviceError.
MeanDonors means_over(const Transformer& model, const MeanPrompts& prompts);

}  // namespace rvsweep
