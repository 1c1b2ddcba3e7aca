#pragma once
// The columns of sites, of attention and of states that are asked for.
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

/// Of readouts.spectra_sites, in /prompts and in /rows.
std::vector<ColumnSpec> site_columns(const SweepConfig& config, std::int64_t n_layers);
std::vector<ColumnSpec> row_site_columns(const SweepConfig& config, std::int64_t n_layers);

/// Of so many layers of readouts.logit_lens.
std::vector<ColumnSpec> logit_lens_columns(std::int64_t n_layers);

std::vector<ColumnSpec> attention_columns(const ModelConfig& model);

/// Of readouts.state_distance.
std::vector<ColumnSpec> state_columns(std::int64_t n_layers);

}  // namespace rvsweep
