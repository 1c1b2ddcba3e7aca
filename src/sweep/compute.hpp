#pragma once
// Every rank's part in a run: the model, and the bundles that rank 0 hands out.
#include "rvsweep/core/phases.hpp"
#include "rvsweep/scheduler/work.hpp"
#include "rvsweep/sweep/run.hpp"
#include "sweep/folder.hpp"

namespace rvsweep {

/// Collective: loads the model and computes until the sweep is done or stops early. `folder` is
/// rank 0's, null elsewhere. InputError where ranks have unlike hardware.
WorkOutcome compute(const World& world, const Launch& launch, const RunOptions& options,
                    SweepFolder* folder, const WorkEvents& events, PhaseClock& phases);

}  // namespace rvsweep
