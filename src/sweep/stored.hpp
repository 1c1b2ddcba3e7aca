#pragma once
// A sweep planned again from its plan.h5.
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

/// xxh3 of the prompts file that a stored sweep was made from.
std::uint64_t stored_prompts_fingerprint(const SweepFacts& facts);

/// The plan of a stored sweep, generation by generation; `text` and `model` are those it was
/// planned with.
Plan stored_plan(const StoredSweep& stored, const ModelConfig& model, const PlanText& text,
                 Texts texts);

}  // namespace rvsweep
