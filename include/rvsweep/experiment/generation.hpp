#pragma once
// Prefill of a bundle's contexts and the decode loop over its rows.
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/regex_families.hpp"

namespace rvsweep {

/// Keys and values of every context, right-aligned in shape.prompt_length columns; slots beyond the
/// contexts repeat the first one. The pass ends at `last_kv_layer`.
KvCache prefill(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
                std::int64_t rows, std::int64_t columns, std::int64_t last_kv_layer);

struct Generated {
  std::vector<std::int32_t> tokens;  // EOS included where it ended the row
  bool stopped_at_eos = false;
  std::string failure;  // why the row has no result; empty where it has
};

/// Rows of a bundle after their generation, with the cells they left behind.
struct DecodedBatch {
  KvCache cache;                   // columns [0, T) prompt cells, T + t the t-th fed token
  std::vector<RowPlan> plans;      // of the bundle's rows and the padding rows after them
  std::vector<Generated> rows;     // of the bundle's rows
  std::vector<PatchProof> proofs;  // of the bundle's rows
};

/// What stays the same from bundle to bundle.
struct SweepSettings {
  GenerationConfig generation;
  ReadoutsConfig readouts;
  std::vector<RegexFamily> families;  // of readouts.keywords
  std::vector<ArmSpec> arms;
  std::vector<std::int32_t> stop_tokens;  // sorted; empty where nothing stops a row
  std::uint64_t seed = 1;
  std::int64_t window = 16;
  std::int64_t early_layer = 0, late_layer = 0;
};

DecodedBatch decode(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                    const KvCache& contexts);

}  // namespace rvsweep
