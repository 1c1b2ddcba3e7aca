#pragma once
// The unpatched runs that the rows of a bundle share.
#include "rvsweep/experiment/generation.hpp"

namespace rvsweep {

struct BundleContexts {
  ContextState state;
  at::Tensor
      first_logits;  // float32 [contexts, vocab] after each prompt; undefined if not asked for
};

/// Prefills every prompt of the bundle once, records what the rows' site patches need and derives
/// the donors of its controls.
BundleContexts prepare_contexts(const Transformer& model, const SweepSettings& settings,
                                const Bundle& bundle, const std::vector<RowPlan>& plans,
                                const MeanDonor& mean);

/// The donor of the mean control; empty for no prompts.
MeanDonor mean_over(const Transformer& model,
                    const std::vector<std::vector<std::int32_t>>& prompts);

}  // namespace rvsweep
