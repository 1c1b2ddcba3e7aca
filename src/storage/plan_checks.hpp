#pragma once
// What holds of every plan.h5, as it is written and as it is read. Each function throws
// ContractError where it does not hold.
#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

void expect_sound(const SweepFacts& facts);
void expect_sound(const BundleOfItem& items, bool is_extended);
void expect_sound(const SweepFacts& facts, const Plan& plan);
void expect_sound(const StoredSweep& sweep);

}  // namespace rvsweep
