#pragma once
// A bundle made ready for decoding: its rows compiled once, its prompts run once.
#include <cstdint>
#include <vector>

#include "rvsweep/experiment/sweep_settings.hpp"
#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/intervention/derived_donors.hpp"
#include "rvsweep/intervention/proof.hpp"
#include "rvsweep/model/transformer.hpp"

namespace rvsweep {

/// What decoding and the read-outs of a bundle read.
struct PreparedBundle {
  const Transformer& model;
  const SweepSettings& settings;
  const Bundle& bundle;
  std::vector<CompiledRow> rows;  // of bundle.rows, then of padding rows: [shape.rows]
  ContextState contexts = {};
  at::Tensor first_logits = {};  // float32 [contexts, vocab] after each prompt; undefined where
                                 // first_token is off
  at::Tensor residual = {};      // [contexts, T, hidden] after the last block; undefined where
                                 // prompt_logprob is off
};

/// Compiles the rows, prefills every prompt, recording what the rows' site patches need, and
/// derives the donors of the controls. The arguments, but for `means`, must outlive the result.
PreparedBundle prepare_bundle(const Transformer& model, const SweepSettings& settings,
                              const Bundle& bundle, const MeanDonors& means);

/// A row that fills a batch up to its padded size: unpatched, from the first context.
CompiledRow padding_row(const Bundle& bundle, const ModelConfig& config);

/// Rows that are decoded as one batch.
struct RowBatch {
  std::vector<BundleRow> rows;
  std::vector<CompiledRow> compiled;  // of `rows`, then of padding rows
};

/// Every context of the bundle as an unpatched row in its own slot.
RowBatch unpatched_rows(const Bundle& bundle, const ModelConfig& config);

/// Rows [first, first + rows.size()) of a batch, which go through the model together.
struct RowPiece {
  std::int64_t first = 0;
  std::vector<CompiledRow> rows;
};
/// BundleShape::rows_at_once each.
std::vector<RowPiece> pieces_of(const std::vector<CompiledRow>& rows, const BundleShape& shape);

/// A batch before its first step.
struct PreparedRows {
  KvCache cache;                 // columns [0, T) prompt cells, patched; T + t the t-th fed token
  std::vector<RowProof> proofs;  // of what was written so far
  std::vector<SiteCapture> measured = {};  // see intervention/measured_sites.hpp
};
/// `measures`: with what the sites of readouts.spectra_sites gave.
PreparedRows prepare_rows(const PreparedBundle& prepared, const std::vector<CompiledRow>& rows,
                          std::int64_t steps, bool measures = false);

}  // namespace rvsweep
