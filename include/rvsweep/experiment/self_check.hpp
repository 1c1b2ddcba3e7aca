#pragma once
// Whether a device computes what it should, before it computes anything that is kept: a tiny random
// model goes through every kind of operation of a sweep there and, in float32 by libtorch, on the
// CPU.
#include <string>
#include <vector>

#include "rvsweep/kernels/operations.hpp"

namespace rvsweep {

/// How far values lie from the reference's, relative to the reference's norm.
struct Deviation {
  double error = 0;  // root mean square of the differences
  double gain = 0;   // of their part along the reference, where roundings average out
};

/// One thing that was compared.
struct CheckedOperation {
  std::string operation;  // "prefill: keys"
  Deviation found, bound;

  double share() const;  // of its bounds; 0 where nothing differs
  bool passed() const;   // false for what is not finite
  std::string text() const;
};

/// In the order of their computation, so that the first that has not passed is nearest to the
/// cause. `operations`: the table to be checked, operations_of(placement) but for tests; `threads`
/// draw the weights.
std::vector<CheckedOperation> self_check(const Placement& placement, const Operations& operations,
                                         int threads);

/// The first that has not passed; null where all have.
const CheckedOperation* first_failure(const std::vector<CheckedOperation>& checked);

}  // namespace rvsweep
