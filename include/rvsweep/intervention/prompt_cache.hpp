#pragma once
// The prompt caches of a batch of rows, put together from the caches of its contexts.
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/proof.hpp"
#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// Fills columns [0, T) of `rows` from `contexts` (right-aligned in T columns): base's cells, and
/// where a row patches its cache, (1 - alpha) base + alpha donor in the written cells, donor keys
/// turned by rotate_by first. Column T-1 holds a row's last cached cell. Adds to proofs[r], old
/// cells being base's at the same column.
void compose_prompt_caches(const Transformer& model, const KvCache& contexts,
                           const std::vector<CompiledRow>& plans, KvCache& rows,
                           std::vector<PatchProof>& proofs);

}  // namespace rvsweep
