#pragma once
// The datasets that bundles fill, below /prompts and /rows. Read-outs that are off have none.
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/plan.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/text/regex_families.hpp"

namespace rvsweep {

inline constexpr int schema_version = 1;

/// /prompts: spectra [L,W] and, per layer, the metrics of its singular values; r_v.
std::vector<ColumnSpec> prompt_columns(const SweepConfig& config, const ModelConfig& model);

/// Tokens that the logit lens keeps of every layer.
inline constexpr std::int64_t logit_lens_top = 5;

/// The layers of readouts.logit_lens, ascending; none where it is off. Throws InputError naming the
/// key and its place.
LayerSet logit_lens_layers(const ReadoutsConfig& readouts, std::int64_t n_layers);

/// /rows: status and reason, tokens and text, and the read-outs that are on; one column per regex
/// family with the keywords.
std::vector<ColumnSpec> row_columns(const SweepConfig& config, const ModelConfig& model,
                                    const std::vector<Arm>& arms,
                                    const std::vector<RegexFamily>& families);

}  // namespace rvsweep
