#pragma once
// A sweep planned again from its plan.h5.
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

/// The plan of a stored sweep, generation by generation; `text` and `model` are those it was
/// planned with.
Plan stored_plan(const StoredSweep& stored, const ModelConfig& model, const PlanText& text,
                 Texts texts);

}  // namespace rvsweep
