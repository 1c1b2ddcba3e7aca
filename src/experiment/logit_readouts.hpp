#pragma once
// Read-outs of logits: of the prompts' tokens, and at the first generated position.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// logprob of the contexts whose geometry this bundle stores.
void fill_prompt_logprob(const PreparedBundle& prepared, ItemTable& table);

/// kl_first and lse_difference of every row.
void fill_first_token(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

/// logit_diff, probability and rank of the answers of every row's pair.
void fill_answers(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                  const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
