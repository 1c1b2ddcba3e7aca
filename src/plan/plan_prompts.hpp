#pragma once
// The prompts of a sweep, tokenised by threads while more of them are read.
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Fills what `plan` says of the prompts and pairs of `input`; the prompts' texts too where
/// `keep_texts`. Throws what input.prompts and input.text.encode_prompt throw.
void plan_prompts(const PlanInput& input, bool keep_texts, Plan& plan);

}  // namespace rvsweep
