#pragma once
// The prompt caches of a batch of rows, made from the cells of its contexts. Columns [0, T) of the
// rows hold prompt cells, right-aligned; a row's last cached cell lies in column T-1.
#include <set>
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/intervention/proof.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// Copies base's cells into columns [0, T) of `rows`.
void copy_base_cells(const ContextState& contexts, const std::vector<CompiledRow>& plans,
                     KvCache& rows);

/// Applies the rows' cache patches of a step, one after the other: (1 - alpha) old + alpha donor in
/// the written cells, donor keys turned by rotate_by first. Adds to proofs[r]; where base has no
/// cell, old counts as 0.
void patch_prompt_caches(const Transformer& model, const ContextState& contexts,
                         const std::vector<CompiledRow>& plans, KvCache& rows,
                         std::vector<RowProof>& proofs, std::int64_t step = 0);

/// Steps but the first at which some cache is patched.
std::set<std::int64_t> late_steps(const std::vector<CompiledRow>& plans);

}  // namespace rvsweep
