#pragma once
// How long a plan's bundles take.
#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// What one CPU core or GPU does in a second.
struct Speed {
  double products = 0;   // floating-point operations of matrix products over many rows
  double attention = 0;  // the same of attention over many queries
  double reads = 0;      // bytes of matrices and caches that lie in memory
};

/// Seconds for all bundles of a plan; loading, spectra and files are not counted.
double seconds_of(const Plan& plan, const BundleNeeds& needs, const Speed& speed);

}  // namespace rvsweep
