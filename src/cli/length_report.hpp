#pragma once
// How far the prompts of pairs differ in length.
#include <string>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Number of pairs, mean, median and largest |source - base| in tokens, mean of source - base, and
/// share of pairs with equal lengths: a line for all pairs and, where there are several, one for
/// each combination of source group and base group.
std::string length_report(const Plan& plan);

}  // namespace rvsweep
