#include "experiment/decode.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "experiment/attention_readouts.hpp"
#include "experiment/sampler.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/intervention/measured_sites.hpp"
#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/intervention/site_patch.hpp"
#include "rvsweep/intervention/visibility.hpp"

namespace rvsweep {
namespace {

/// Random numbers of every row and step, [steps, rows] float64; zeros for padding rows.
at::Tensor uniforms(const GenerationConfig& generation, std::uint64_t seed, const RowBatch& batch,
                    const Placement& placement) {
  const auto steps = generation.max_new_tokens;
  at::Tensor numbers = at::zeros({steps, std::ssize(batch.compiled)}, at::kDouble);
  if (generation.temperature == 0) return numbers.to(placement.device);
  auto cell = numbers.accessor<double, 2>();
  for (std::size_t r = 0; r < batch.rows.size(); ++r)
    for (std::int64_t t = 0; t < steps; ++t)
      cell[t][static_cast<std::int64_t>(r)] =
          sampling_uniform(seed, batch.rows[r].pair_hash, batch.rows[r].sample, t);
  return numbers.to(placement.device);
}

/// Which tokens each row's prompt holds, bool [rows, vocab]: those of the prompt that it is
/// generated from, whatever patches put in their place. Undefined where none is penalised.
at::Tensor tokens_of_prompts(const PreparedBundle& prepared, const RowBatch& batch,
                             const GenerationConfig& generation) {
  if (generation.repetition_penalty == 1.0) return {};
  at::Tensor occurred =
      at::zeros({std::ssize(batch.compiled), prepared.model.config().vocab_size}, at::kBool);
  auto cell = occurred.accessor<bool, 2>();
  for (std::size_t r = 0; r < batch.compiled.size(); ++r) {
    const CompiledRow& plan = batch.compiled[r];
    const auto& prompt = prepared.bundle.contexts[static_cast<std::size_t>(plan.base)].tokens;
    for (std::int64_t i = 0; i < plan.n; ++i) cell[static_cast<std::int64_t>(r)][prompt[i]] = true;
  }
  return occurred.to(prepared.model.placement().device);
}

/// Step t of the loop, which feeds column T + t of R rows, and what earlier ones have changed.
struct Step {
  std::int64_t t = 0;
  at::Tensor tokens, positions;      // int64 [R, 1]
  std::set<std::int64_t> new_edits;  // steps whose edits are not those of the step before
  PassEdits edits = {};
  std::set<std::int64_t> late;  // steps before which caches are patched
  LayerVisibility seen;
  at::Tensor uniforms;                   // float64 [steps, R]
  at::Tensor occurred;                   // see tokens_of_prompts; generated tokens join them
  std::vector<at::Tensor> changes = {};  // by step, float64 [R, patches]; undefined without edits
};

std::set<std::int64_t> steps_with_new_edits(const std::vector<CompiledRow>& plans) {
  std::set<std::int64_t> steps{0, 1};
  for (const CompiledRow& plan : plans)
    for (const CompiledSitePatch& patch : plan.sites)
      steps.insert({patch.steps.from, patch.steps.until});
  return steps;
}

/// Patches the caches that are patched before this step, of rows that have not ended.
void patch_caches(const PreparedBundle& prepared, const RowBatch& batch, Step& step,
                  DecodedBatch& decoded) {
  std::vector<CompiledRow> going_on = batch.compiled;
  for (std::size_t r = 0; r < decoded.rows.size(); ++r)
    if (decoded.rows[r].stopped_at_eos || !decoded.rows[r].failure.empty())
      going_on[r].cache.clear();
  patch_prompt_caches(prepared.model, prepared.contexts, going_on, decoded.cache, decoded.proofs,
                      step.t);
  step.seen =
      visibility_of(going_on, prepared.model.config().n_layers, prepared.contexts.columns, step.t);
}

/// Edits of step t, which feeds b[n-1] (0) or the t-th generated token.
PassEdits edits_of_step(const PreparedBundle& prepared, const RowBatch& batch, std::int64_t t) {
  std::vector<std::int64_t> fed_token;
  for (const CompiledRow& plan : batch.compiled) fed_token.push_back(plan.n - 1 + t);
  return pass_edits(prepared.model, prepared.contexts, batch.compiled, fed_token, 1);
}

Step first_step(const PreparedBundle& prepared, const RowBatch& batch,
                const GenerationConfig& generation) {
  const Transformer& model = prepared.model;
  const Placement& placement = model.placement();
  std::vector<std::int64_t> first_tokens, first_positions;
  for (const CompiledRow& plan : batch.compiled) {
    first_tokens.push_back(plan.first_token);
    first_positions.push_back(plan.first_position());
  }
  const auto on_device = [&](const std::vector<std::int64_t>& values) {
    return at::tensor(values, at::kLong).to(placement.device).unsqueeze(1);
  };
  return {.tokens = on_device(first_tokens),
          .positions = on_device(first_positions),
          .new_edits = steps_with_new_edits(batch.compiled),
          .late = late_steps(batch.compiled),
          .seen = visibility_of(batch.compiled, model.config().n_layers, prepared.contexts.columns),
          .uniforms = uniforms(generation, prepared.settings.seed, batch, placement),
          .occurred = tokens_of_prompts(prepared, batch, generation)};
}

/// The rows whose prompts end with the token that step 0 feeds, as rows of its pass.
std::vector<CapturedRow> rows_that_hold_back(const RowBatch& batch) {
  std::vector<CapturedRow> rows;
  for (std::int64_t r = 0; r < std::ssize(batch.compiled); ++r)
    if (!batch.compiled[static_cast<std::size_t>(r)].refeeds) rows.push_back({r, r});
  return rows;
}

/// Feeds one token of every row. Returns their residual stream [R, hidden]; undefined where nobody
/// wants logits.
at::Tensor feed(const PreparedBundle& prepared, const RowBatch& batch, const DecodeOptions& options,
                Step& step, DecodedBatch& decoded) {
  const auto L = prepared.model.config().n_layers;
  if (step.new_edits.contains(step.t)) step.edits = edits_of_step(prepared, batch, step.t);
  const PassEdits& edits = step.edits;
  std::vector<SiteCapture> captures = edits.captures;
  std::vector<QueryCapture> queries;
  if (step.t == 0) {
    for (const std::int64_t layer : options.residual_layers)
      captures.push_back({Site::resid_post, layer, 1});
    for (const SiteCapture& of_site : decoded.measured)
      captures.push_back({of_site.site, of_site.layer, 1});
    for (const std::int64_t layer : options.attention_layers) queries.push_back({layer});
  }
  const bool wants_logits =
      options.generation.max_new_tokens > 0 || prepared.settings.readouts.first_token;
  ForwardInput input;
  input.tokens = step.tokens;
  input.positions = step.positions;
  input.column = prepared.contexts.columns + step.t;
  input.seen = &step.seen;
  input.edits = edits.edits;
  input.captures = &captures;
  input.query_captures = &queries;
  input.last_kv_layer = wants_logits ? L : last_layer_for(captures, L);
  input.outputs = wants_logits ? Outputs::last_query : Outputs::none;
  const at::Tensor residual = prepared.model.forward(input, decoded.cache);
  step.changes.push_back(edits.empty() ? at::Tensor() : edits.change(captures));
  if (step.t == 0) {
    const auto read = std::span(captures).subspan(edits.captures.size()),
               streams = read.first(options.residual_layers.size());
    decoded.residuals.assign(streams.begin(), streams.end());
    put_captured(read.subspan(streams.size()), rows_that_hold_back(batch), decoded.measured);
    if (!queries.empty())
      decoded.attention = attention_measures(prepared.model.config(), batch.compiled, step.seen,
                                             queries, decoded.cache, input.column);
  }
  return residual;
}

/// The tokens that follow the step's `residual`, and whether their logits are finite; undefined
/// where none are to be generated.
ArgMax next_tokens(const Transformer& model, const DecodeOptions& options, const Step& step,
                   const at::Tensor& residual, DecodedBatch& decoded) {
  const auto t = step.t;
  const auto& [generation, streams, attended, observe_step] = options;
  const bool penalises = step.occurred.defined();
  if (t > 0 && generation.temperature == 0 && !penalises && !observe_step)
    return model.argmax(residual);
  const at::Tensor logits = model.unembed(residual);  // [R, vocab]
  if (t == 0) decoded.first_logits = logits.to(at::kFloat);
  if (observe_step) observe_step(t, logits.to(at::kFloat));
  if (generation.max_new_tokens == 0) return {};
  return sample_tokens(
      model.operations(),
      penalises ? penalised(logits.to(at::kFloat), step.occurred, generation.repetition_penalty)
                : logits,
      step.uniforms[t], generation);
}

/// Takes each unfinished row's new token; true while some row goes on.
bool take_tokens(const SweepSettings& settings, std::int64_t max_new_tokens, const ArgMax& next,
                 std::vector<Generated>& rows) {
  // One copy: for each of them the host waits for the device.
  const at::Tensor on_host = at::where(next.finite, next.token, -1).to(at::kCPU);
  const auto token = on_host.accessor<std::int64_t, 1>();
  const auto limit = static_cast<std::size_t>(max_new_tokens);
  bool some_go_on = false;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    Generated& row = rows[r];
    if (row.stopped_at_eos || !row.failure.empty()) continue;
    const auto taken = static_cast<std::int32_t>(token[static_cast<std::int64_t>(r)]);
    if (taken < 0) {
      row.failure = "the logits of generated token " + std::to_string(row.tokens.size() + 1) +
                    " are not finite numbers";
      continue;
    }
    row.tokens.push_back(taken);
    row.stopped_at_eos =
        std::binary_search(settings.stop_tokens.begin(), settings.stop_tokens.end(), taken);
    some_go_on |= !row.stopped_at_eos && row.tokens.size() < limit;
  }
  return some_go_on;
}

/// Adds what decoding changed: at b[n-1] of every row, and at every token of its own that it was
/// fed.
void prove_decoding(const RowBatch& batch, std::vector<at::Tensor> changes, DecodedBatch& decoded) {
  for (at::Tensor& change : changes)
    if (change.defined()) change = change.to(at::kCPU);
  for (std::size_t r = 0; r < decoded.rows.size(); ++r) {
    const CompiledRow& plan = batch.compiled[r];
    if (plan.sites.empty()) continue;
    RowProof& proof = decoded.proofs[r];
    const auto fed = std::max<std::int64_t>(std::ssize(decoded.rows[r].tokens), 1);
    for (const CompiledSitePatch& patch : plan.sites) {
      // b[n-1] that is fed once more is patched once more.
      const std::int64_t again = plan.refeeds && plan.donor_token(patch, plan.n - 1) ? 1 : 0;
      proof[patch.place].cells_changed +=
          ((patch.steps.contains(0) ? std::ssize(patch.cells) + again : 0) +
           patch.generated_in(fed)) *
          layer_heads(patch);
      if (patch.steps.contains(0))
        proof[patch.place].cells_dropped += patch.cells_dropped * layer_heads(patch);
    }
    for (std::int64_t t = 0; t < std::min<std::int64_t>(fed, std::ssize(changes)); ++t)
      if (changes[t].defined()) add_change(plan, changes[t][static_cast<std::int64_t>(r)], proof);
  }
}

}  // namespace

DecodedBatch decode(const PreparedBundle& prepared, const RowBatch& batch, PreparedRows rows,
                    const DecodeOptions& options) {
  DecodedBatch decoded{.cache = std::move(rows.cache),
                       .slots = std::vector<std::int64_t>(batch.compiled.size()),
                       .rows = std::vector<Generated>(batch.rows.size()),
                       .proofs = std::move(rows.proofs),
                       .measured = std::move(rows.measured)};
  std::iota(decoded.slots.begin(), decoded.slots.end(), 0);
  Step step = first_step(prepared, batch, options.generation);
  for (bool going_on = true; going_on; ++step.t) {
    if (step.late.contains(step.t)) patch_caches(prepared, batch, step, decoded);
    const at::Tensor residual = feed(prepared, batch, options, step, decoded);
    if (!residual.defined()) break;
    const ArgMax next = next_tokens(prepared.model, options, step, residual, decoded);
    if (!next.token.defined()) break;
    going_on =
        take_tokens(prepared.settings, options.generation.max_new_tokens, next, decoded.rows);
    step.tokens = next.token.unsqueeze(1);
    if (step.occurred.defined()) step.occurred.scatter_(1, step.tokens, true);
    step.positions = step.positions + 1;
  }
  prove_decoding(batch, std::move(step.changes), decoded);
  decoded.proofs.resize(decoded.rows.size());
  return decoded;
}

std::vector<Generated> continuations(const PreparedBundle& prepared, const RowBatch& unpatched) {
  GenerationConfig greedy = prepared.settings.generation;
  greedy.temperature = 0;
  return decode(prepared, unpatched,
                prepare_rows(prepared, unpatched.compiled, greedy.max_new_tokens),
                {.generation = greedy})
      .rows;
}

}  // namespace rvsweep
