#pragma once
// The prompt caches of a batch of rows, put together from the caches of its contexts.
#include <vector>

#include "rvsweep/intervention/row_plan.hpp"
#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// Proof that a patch fired, from the tensors the row really used.
struct PatchProof {
  std::int64_t cells_changed = 0;  // (layer, position, KV head) donor cells written
  std::int64_t cells_dropped = 0;  // donor cells outside base
  double change_squared = 0;       // sum over written K and V of (new - old)^2
};

/// Fills columns [0, T) of `rows` from `contexts` (prefilled, right-aligned in T columns): base's
/// cells, at patched layers the donor's, keys turned by rotate_by. Column T-1 holds a row's last
/// cached cell. v_proj rows get base's cells; run_patched_suffix then overwrites the patched ones.
/// Adds to proofs[r] for cache patches, old cells being base's at the same column.
void compose_prompt_caches(const Transformer& model, const KvCache& contexts,
                           const std::vector<RowPlan>& plans, KvCache& rows,
                           std::vector<PatchProof>& proofs);

}  // namespace rvsweep
