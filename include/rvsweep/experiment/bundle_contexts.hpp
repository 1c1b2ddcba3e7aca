#pragma once
// The unpatched runs that the rows of a bundle share.
#include "rvsweep/experiment/generation.hpp"
#include "rvsweep/intervention/derived_donors.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

struct BundleContexts {
  ContextState state;
  at::Tensor
      first_logits;  // float32 [contexts, vocab] after each prompt; undefined if not asked for
};

/// Prefills every prompt of the bundle once, records what the rows' site patches need and derives
/// the donors of its controls.
BundleContexts prepare_contexts(const Transformer& model, const SweepSettings& settings,
                                const Bundle& bundle, const std::vector<CompiledRow>& plans,
                                const MeanDonors& means);

/// The donors of the mean control; empty for no prompts.
MeanDonors means_over(const Transformer& model, const MeanPrompts& prompts);

}  // namespace rvsweep
