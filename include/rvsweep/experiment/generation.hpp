#pragma once
// Prompts into caches, rows made from them, and the decode loop.
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/intervention/proof.hpp"
#include "rvsweep/model/transformer.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/sweep_config.hpp"
#include "rvsweep/text/regex_families.hpp"
#include "rvsweep/text/token_sets.hpp"

namespace rvsweep {

/// What stays the same from bundle to bundle.
struct SweepSettings {
  GenerationConfig generation;
  ReadoutsConfig readouts;
  std::vector<RegexFamily> families;  // of readouts.keywords
  std::vector<Arm> arms;
  std::vector<std::int32_t> stop_tokens;  // sorted; empty where nothing stops a row
  std::uint64_t seed = 1;
  std::int64_t window = 16;
  std::int64_t tokens_after_window = 0;  // the most last tokens of any prompt beyond its windows
  std::int64_t early_layer = 0, late_layer = 0;
  std::vector<std::int64_t> logit_lens_layers = {};
  TokenSets token_sets = {};
};

/// Feeds right-aligned prompts into `cache`, whose slots beyond the prompts repeat the first one.
/// `input` says how far the pass goes and what it gives; its tokens, positions and bias are set
/// here. Returns what Transformer::forward does.
at::Tensor feed_prompts(const Transformer& model,
                        const std::vector<std::vector<std::int32_t>>& prompts, ForwardInput input,
                        KvCache& cache);

/// Keys and values of every prompt, right-aligned in `columns`; rows beyond the prompts repeat the
/// first one. The pass ends at `last_kv_layer`.
KvCache prefill(const Transformer& model, const std::vector<std::vector<std::int32_t>>& prompts,
                std::int64_t rows, std::int64_t columns, std::int64_t last_kv_layer);

/// The prompts' caches of a batch of rows, patched, with room for `steps` fed tokens.
struct PreparedRows {
  KvCache cache;  // columns [0, T) prompt cells, T + t the t-th fed token
  std::vector<CompiledRow> plans;
  std::vector<PatchProof> proofs;
};
PreparedRows prepare_rows(const Transformer& model, const SweepSettings& settings,
                          std::vector<CompiledRow> plans, const ContextState& contexts,
                          std::int64_t steps);

struct Generated {
  std::vector<std::int32_t> tokens;  // EOS included where it ended the row
  bool stopped_at_eos = false;
  std::string failure;  // why the row has no result; empty where it has
};

/// Rows of a bundle after their generation, with the cells they left behind.
struct DecodedBatch {
  KvCache cache;                   // columns [0, T) prompt cells, T + t the t-th fed token
  std::vector<CompiledRow> plans;  // of the bundle's rows and the padding rows after them
  std::vector<Generated> rows;     // of the bundle's rows
  std::vector<PatchProof> proofs;  // of the bundle's rows
  at::Tensor first_logits = {};    // float32 [rows, vocab], of the first generated position
  std::vector<SiteCapture> residuals = {};  // resid_post of the logit lens' layers at that position
};

/// Plans of the bundle's rows; padding rows generate from the first context, unpatched.
std::vector<CompiledRow> compile_rows(const SweepSettings& settings, const Bundle& bundle,
                                      const ModelConfig& config);

/// Sees the logits, float32 [rows, vocab], that the tokens of a step (from 0) are drawn from.
using StepObserver = std::function<void(std::int64_t step, const at::Tensor& logits)>;

DecodedBatch decode(const Transformer& model, const SweepSettings& settings, const Bundle& bundle,
                    PreparedRows prepared, const ContextState& contexts,
                    const StepObserver& observe_step = {});

/// Greedy unpatched continuation of every context of the bundle.
std::vector<Generated> continuations(const Transformer& model, const SweepSettings& settings,
                                     const Bundle& bundle, const ContextState& contexts);

}  // namespace rvsweep
