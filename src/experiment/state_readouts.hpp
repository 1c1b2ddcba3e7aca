#pragma once
// Read-outs of the residual stream at the query that the first token is drawn from.
#include "experiment/decode.hpp"
#include "rvsweep/experiment/natural_states.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// Layers whose stream some read-out takes, ascending.
std::vector<std::int64_t> residual_layers(const SweepSettings& settings);

/// logit_lens_token and logit_lens_logprob of every row.
void fill_logit_lens(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

/// state_distance of every row.
void fill_state_distance(const NaturalStates& natural, const PreparedBundle& prepared,
                         const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
