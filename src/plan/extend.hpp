#pragma once
// How the plan of a larger job takes over that of a smaller one.
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Gives the prompts and rows of `plan`, which has no bundles yet, their numbers: those that
/// `before` holds too (equal text and group; equal row id) keep theirs, the others count on from
/// there. Then takes over before's bundles. ContractError when `plan` lacks a prompt or row of
/// `before`.
void take_over(const Plan& before, Plan& plan);

}  // namespace rvsweep
