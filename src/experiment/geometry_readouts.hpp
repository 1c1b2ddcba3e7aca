#pragma once
// Geometry columns of prompts and rows, from the V in their caches.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// /prompts columns of the contexts whose geometry this bundle stores.
void fill_prompts(const PreparedBundle& prepared, ItemTable& table);

/// spectra_*, r_v_* and geometry_reason of the row's own V: the prompt window as the first
/// generated position attends to it, and the window of the generated tokens that were fed.
void fill_geometry(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

/// step_pr: PR of the last W tokens' V after every fed token, prompt cells and, from the right, fed
/// tokens.
void fill_step_trace(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

/// r_v_notebook, the notebook's hook order for notebook_b: V is captured as v_proj gives it, before
/// the patch. The one patched layer then still has base's V; every other layer has the row's own.
void fill_notebook_r_v(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
