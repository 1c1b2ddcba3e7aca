#pragma once
// The decode loop: prepared rows to tokens.
#include <string>

#include "experiment/prepared_bundle.hpp"

namespace rvsweep {

struct Generated {
  std::vector<std::int32_t> tokens;  // EOS included where it ended the row
  bool stopped_at_eos = false;
  std::string failure;  // why the row has no result; empty where it has
};

/// Rows after their generation, with the cells they left behind.
struct DecodedBatch {
  KvCache cache;                    // columns [0, T) prompt cells, T + t the t-th fed token
  std::vector<std::int64_t> slots;  // rows of `cache`: of `rows`, then of padding rows
  std::vector<Generated> rows;
  std::vector<RowProof> proofs;             // of `rows`
  at::Tensor first_logits = {};             // float32 [rows and padding, vocab], of the first
                                            // generated position; undefined where none is wanted
  std::vector<SiteCapture> residuals = {};  // resid_post of the layers asked for, at that position
  // By rows of `cache`:
  std::vector<SiteCapture> measured = {};  // see PreparedRows
  at::Tensor attention = {};               // see attention_measures; undefined where none is wanted
};

struct DecodeOptions {
  GenerationConfig generation;
  std::vector<std::int64_t> residual_layers = {}, attention_layers = {};
  StepObserver observe_step = {};
};

/// Generates up to max_new_tokens tokens of every row; with 0 of them, b[n-1] alone is fed. A row
/// whose logits are not finite ends there, failed.
DecodedBatch decode(const PreparedBundle& prepared, const RowBatch& batch, PreparedRows rows,
                    const DecodeOptions& options);

/// Greedy continuations of `unpatched`, see unpatched_rows: one of every context.
std::vector<Generated> continuations(const PreparedBundle& prepared, const RowBatch& unpatched);

}  // namespace rvsweep
