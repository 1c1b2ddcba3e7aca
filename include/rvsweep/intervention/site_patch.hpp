#pragma once
// Patches inside the forward pass: some tokens of base at a site become the donor's, or what the
// donor's make of them.
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/intervention/measured_sites.hpp"
#include "rvsweep/intervention/proof.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// The edits of one forward pass over a batch of rows, with what proves them.
struct PassEdits {
  std::vector<SiteEdit> edits;
  std::vector<SiteCapture> captures;  // of what each edit gives, then of what stood there before
  std::vector<at::Tensor> old;      // what replaced values are compared with: base's there, 0 where
                                    // base has none; undefined: what the site gave before its edits
  std::vector<at::Tensor> written;  // float32 [rows, queries, heads, 1], 1 where a row is written
  std::vector<std::int64_t> patch;  // whose edit it is, by place in CompiledRow::sites

  bool empty() const { return edits.empty(); }
  /// Squared change by every patch of every row in a pass that filled `filled`, which begins with
  /// `captures`: float64 [rows, most patches of a row]. Not of empty edits.
  at::Tensor change(const std::vector<SiteCapture>& filled) const;
};

/// Adds a row's squared changes, float64 [patches] on the CPU, to the proofs of its site patches.
void add_change(const CompiledRow& plan, const at::Tensor& change, RowProof& proof);

/// (site, layer) that the rows patch, each once, to be captured over `queries` tokens of every
/// context.
std::vector<SiteCapture> captures_for(const std::vector<CompiledRow>& plans, std::int64_t queries);

/// The residual stream at every layer where the site patches of some row begin, each once, to be
/// captured over `queries` tokens of every context.
std::vector<SiteCapture> streams_for(const std::vector<CompiledRow>& plans, std::int64_t queries);

/// ForwardInput::last_kv_layer of a pass that fills the cache and these captures.
std::int64_t last_layer_for(const std::vector<SiteCapture>& captures, std::int64_t n_layers);

/// Edits of a pass whose query q of row r is the row's token first_token[r] + q (n or more:
/// generated).
PassEdits pass_edits(const Transformer& model, const ContextState& contexts,
                     const std::vector<CompiledRow>& plans,
                     const std::vector<std::int64_t>& first_token, std::int64_t queries);

/// Feeds those of the last `tokens` prompt tokens, or of all where a row's patches reach further
/// back, whose cells precede the first feed (refeed: b[n-1] too), with the rows' edits, and puts
/// their keys and values into the rows' caches. Earlier positions and layers before the first
/// patched one keep base's cells, and `measured` base's values: no patch reaches them. Adds to
/// proofs[r].
void run_patched_suffix(const Transformer& model, const ContextState& contexts,
                        const std::vector<CompiledRow>& plans, std::int64_t tokens, KvCache& rows,
                        std::vector<SiteCapture>& measured, std::vector<RowProof>& proofs);

}  // namespace rvsweep
