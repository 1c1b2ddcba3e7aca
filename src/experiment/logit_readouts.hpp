#pragma once
// Read-outs at the first generated position: of its logits, and of the residual stream between
// blocks.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// kl_first and lse_difference of every row.
void fill_first_token(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

/// logit_lens_token and logit_lens_logprob of every row.
void fill_logit_lens(const Transformer& model, const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
