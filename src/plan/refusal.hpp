#pragma once
// Rows that cannot run.
#include <string>

#include "plan/donors.hpp"

namespace rvsweep {

/// Why a row of `arm` cannot run; empty where it can.
std::string refusal_of(const Arm& arm, const Roles& roles, const GenerationConfig& generation,
                       const ModelConfig& model);

}  // namespace rvsweep
