#pragma once
// The plan of a larger job that extends a smaller one's.
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Numbers the prompts and rows of `plan`, which has no bundles yet: those that `before` holds too
/// (equal text, group and cluster; equal row id) keep their numbers, the others count on from
/// there. Copies before's bundles. ContractError when `plan` lacks a prompt or row of `before`.
void keep_numbers_and_bundles(const Plan& before, Plan& plan);

}  // namespace rvsweep
