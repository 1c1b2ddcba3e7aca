#pragma once
// Why a row does not run: known from its arm and the lengths of its prompts.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

/// Tokens of base and donor, and how many of them lie up to the window's end.
struct RowLengths {
  std::int64_t n = 0, m = 0;
  std::int64_t n_window = 0, m_window = 0;
};

/// Why `arm` cannot run with prompts of these lengths; none where it can. `keyword_tokens`: the
/// donor's, for positions=keywords.
std::optional<std::string> refusal_of(const ArmSpec& arm, const RowLengths& lengths,
                                      const std::vector<std::int32_t>& keyword_tokens,
                                      const GenerationConfig& generation, const ModelConfig& model);

}  // namespace rvsweep
