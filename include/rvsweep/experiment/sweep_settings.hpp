#pragma once
// What the experiment is told once, for all bundles of a sweep.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/regex_families.hpp"
#include "rvsweep/text/token_sets.hpp"

namespace rvsweep {

struct SweepSettings {
  GenerationConfig generation;
  ReadoutsConfig readouts;
  std::vector<RegexFamily> families;  // of readouts.keywords
  std::vector<Arm> arms;
  std::vector<std::int32_t> stop_tokens;  // sorted; empty where nothing stops a row
  std::uint64_t seed = 1;
  std::int64_t window = 16;                // W, tokens
  std::vector<std::int64_t> windows = {};  // W first; empty: no more are measured of V
  std::int64_t early_layer = 0, late_layer = 0;
  std::vector<std::int64_t> logit_lens_layers = {}, attention_layers = {},
                            state_distance_layers = {};
  TokenSets token_sets = {};
  Directions directions = {};  // of the arms' patches
};

/// Sees the logits, float32 [rows, vocab], that the tokens of a step (from 0) are drawn from.
using StepObserver = std::function<void(std::int64_t step, const at::Tensor& logits)>;

}  // namespace rvsweep
