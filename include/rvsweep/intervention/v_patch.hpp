#pragma once
// v_proj patches: the last W' V rows of base become the donor's, inside the forward pass.
#include <vector>

#include "rvsweep/intervention/prompt_cache.hpp"

namespace rvsweep {

/// Feeds the prompt positions before b[n-1] that a v_proj patch reaches again, under the patch, and
/// puts their keys and values into the rows' caches. Positions before the window keep base's cells:
/// causal attention never lets them see the patch.
void run_patched_suffix(const Transformer& model, const KvCache& contexts,
                        const std::vector<BundleContext>& bundle_contexts,
                        const std::vector<RowPlan>& plans, std::int64_t window, KvCache& rows);

/// The v_proj patches of decode steps: step 0 feeds b[n-1], which every v_proj row patches; later
/// tokens are patched by rows that persist.
struct DecodePatches {
  std::vector<SitePatch> first_step, later_steps;
};
DecodePatches decode_patches(const Transformer& model, const KvCache& contexts,
                             const std::vector<RowPlan>& plans);

/// Proof of the v_proj patches of a decoded batch; fed_steps[r] tokens of row r were fed (b[n-1]
/// included) before it ended.
void prove_v_patches(const KvCache& contexts, const KvCache& rows,
                     const std::vector<RowPlan>& plans, const std::vector<std::int64_t>& fed_steps,
                     std::vector<PatchProof>& proofs);

}  // namespace rvsweep
