#pragma once
// Read-outs of a bundle's logits: at the first generated position, along the prompts' own greedy
// continuations, and of the residual stream between blocks.
#include "rvsweep/experiment/bundle_contexts.hpp"
#include "rvsweep/plan/result_schema.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// kl_first and lse_difference of every row.
void fill_first_token(const SweepSettings& settings, const Bundle& bundle,
                      const BundleContexts& contexts, const DecodedBatch& batch, ItemTable& table);

/// kl_forced_* and logprob_*: every row, its patch included, is fed the greedy unpatched
/// continuation of its reference prompt and then that of the pair's other one.
void fill_forced(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                 const BundleContexts& contexts, const DecodedBatch& batch, ItemTable& table);

/// logit_lens_token and logit_lens_logprob of every row.
void fill_logit_lens(const Transformer& model, const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
