#pragma once
// What the statistics of a sweep's report can reach, known before it runs.
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

struct StudyLimits {
  std::int64_t arms = 0;               // patched, controls apart: one family of tests
  std::int64_t pairs = 0;              // that the arm with most of them can run
  double smallest_p = 0;               // after Holm; 0 where only draws or data limit it
  std::int64_t equivalence_pairs = 0;  // fewest that TOST can succeed with; 0: the data decide
};

/// analysis/ tests pairs without common prompts by all sign flips up to 12 pairs; more pairs are
/// drawn for, and pairs that share prompts get a t test.
StudyLimits study_limits(const Plan& plan, const StudyConfig& study);

/// Lines of `plan`: the family, and what of it cannot succeed.
std::string study_report(const Plan& plan, const StudyConfig& study);

}  // namespace rvsweep
