#include "rvsweep/experiment/bundle_runner.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "experiment/attention_readouts.hpp"
#include "experiment/behaviour.hpp"
#include "experiment/distinct_rows.hpp"
#include "experiment/forced.hpp"
#include "experiment/geometry_readouts.hpp"
#include "experiment/logit_readouts.hpp"
#include "experiment/reencode.hpp"
#include "experiment/state_readouts.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device_error.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

constexpr auto ok = static_cast<std::int8_t>(RowStatus::ok),
               failed = static_cast<std::int8_t>(RowStatus::failed);

/// Why a row of so many steps is no result: a patch that was to change something did not. Empty
/// where all did. A row that ends before a patch begins is a result of its arm all the same.
std::string unproven(const Arm& arm, const CompiledRow& plan, const RowProof& proof,
                     std::int64_t n_steps) {
  std::vector<std::size_t> without_effect;
  // Base has no value at a generated token: what replaces there is a change, zeros too.
  const auto adds = [&](const CompiledSitePatch& patch) {
    return replaces(patch.operation) && patch.generated_in(n_steps) > 0;
  };
  for (const CompiledSitePatch& patch : plan.sites)
    if (!patch.neutral && proof[patch.place].change_squared == 0 && patch.steps.from < n_steps &&
        !adds(patch))
      without_effect.push_back(patch.place);
  for (const CompiledCachePatch& patch : plan.cache)
    if (!patch.neutral && proof[patch.place].change_squared == 0 && patch.at_step < n_steps &&
        !plan.changes_length(patch))
      without_effect.push_back(patch.place);
  if (without_effect.empty()) return "";
  if (arm.patches.size() == 1) return "the patch changed nothing";
  const std::size_t place = std::ranges::min(without_effect);
  return fmt::format("patch {}, {}, changed nothing", place + 1, kind_name(arm.patches[place]));
}

/// Status, reason and proof of every row.
void fill_outcome(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  auto& status = column(table, columns::status);
  auto& reason = column(table, columns::reason);
  auto& cells_changed = column(table, columns::cells_changed);
  auto& cells_dropped = column(table, columns::cells_dropped);
  auto& change_norm = column(table, columns::change_norm);
  auto& future_keys = column(table, columns::future_keys);
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const CompiledRow& plan = prepared.rows[r];
    const Arm& arm = prepared.settings.arms[prepared.bundle.rows[r].arm.value];
    reason[r] = batch.rows[r].failure;
    if (reason[r].empty())
      reason[r] = unproven(arm, plan, batch.proofs[r],
                           std::max<std::int64_t>(std::ssize(batch.rows[r].tokens), 1));
    status[r] = reason[r].empty() ? ok : failed;
    const PatchProof sum = sum_of(batch.proofs[r]);
    cells_changed[r] = sum.cells_changed;
    cells_dropped[r] = sum.cells_dropped;
    change_norm[r] = std::sqrt(sum.change_squared);
    future_keys[r] = static_cast<std::int32_t>(plan.future_keys());
  }
}

/// The proof of every patch beside the sums, in sweeps with arms of several.
void fill_patch_proofs(const DecodedBatch& batch, ItemTable& table) {
  auto* cells = find_column(table, columns::patch_cells_changed);  // [rows, most patches]
  if (cells == nullptr) return;
  auto& norms = column(table, columns::patch_change_norm);
  const std::size_t most = cells->size() / batch.rows.size();
  for (std::size_t r = 0; r < batch.rows.size(); ++r)
    for (std::size_t p = 0; p < batch.proofs[r].size(); ++p) {
      (*cells)[r * most + p] = batch.proofs[r][p].cells_changed;
      norms[r * most + p] = std::sqrt(batch.proofs[r][p].change_squared);
    }
}

/// The prompt that a row's text may copy from: its donor's, its own where no prompt gives to it.
std::string_view donor_text(const Bundle& bundle, const BundleRow& row) {
  auto context = static_cast<std::size_t>(row.donors.empty() ? row.base : row.donors.front().index);
  if (const auto n_contexts = bundle.contexts.size(); context >= n_contexts) {
    const std::int32_t of = bundle.derived[context - n_contexts].of;
    context = static_cast<std::size_t>(of < 0 ? row.base : of);
  }
  return bundle.contexts[context].text;
}

/// The tokens of every row that has a result.
void fill_tokens(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  const auto N = prepared.settings.generation.max_new_tokens;
  if (N == 0) return;
  auto& tokens = column(table, columns::tokens);  // [rows, N]
  auto& n_generated = column(table, columns::n_generated);
  auto& n_generated_v = column(table, columns::n_generated_v);
  auto& stop_reason = column(table, columns::stop_reason);
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const Generated& row = batch.rows[r];
    if (!row.failure.empty()) continue;
    std::copy(row.tokens.begin(), row.tokens.end(),
              tokens.begin() + static_cast<std::int64_t>(r) * N);
    n_generated[r] = static_cast<std::int32_t>(row.tokens.size());
    n_generated_v[r] = n_generated[r] - 1;
    stop_reason[r] = row.stopped_at_eos ? "eos" : "length";
  }
}

/// Text and behaviour of every row that has tokens; a text that cannot be searched fails its row.
void fill_texts(const BundleRunner& runner, const Bundle& bundle, ItemTable& table) {
  const auto N = runner.settings.generation.max_new_tokens;
  if (N == 0) return;
  const auto& tokens = column(table, columns::tokens);  // [rows, N]
  const auto& n_generated = column(table, columns::n_generated);
  const auto& stop_reason = column(table, columns::stop_reason);
  auto& text = column(table, columns::text);
  std::vector<TextOfRow> texts;
  for (std::size_t r = 0; r < bundle.rows.size(); ++r) {
    if (n_generated[r] < 0) continue;
    text[r] = runner.tokenizer.decode(
        {&tokens[r * static_cast<std::size_t>(N)], static_cast<std::size_t>(n_generated[r])});
    texts.push_back({r, text[r], donor_text(bundle, bundle.rows[r]), bundle.rows[r].answers.source,
                     stop_reason[r] == "length"});
  }
  for (const auto& [r, reason] : fill_behaviour(texts, runner.settings.families, table)) {
    column(table, columns::status)[r] = failed;
    column(table, columns::reason)[r] = reason;
  }
}

void compute(const BundleRunner& runner, const Bundle& bundle, BundleResult& result) {
  const c10::InferenceMode no_autograd;
  const SweepSettings& settings = runner.settings;
  const auto timed = [&](Phase phase, const auto& work) {
    const PhaseTimer timer(runner.phases, phase);
    return work();
  };
  PreparedBundle prepared = timed(
      Phase::prefill, [&] { return prepare_bundle(runner.model, settings, bundle, runner.means); });
  timed(Phase::spectra, [&] { fill_prompts(prepared, result.prompts); });
  timed(Phase::readouts, [&] { fill_prompt_logprob(prepared, result.prompts); });
  prepared.residual.reset();  // nothing else reads it
  if (bundle.rows.empty()) return;
  const auto steps = std::max<std::int64_t>(1, settings.generation.max_new_tokens);
  const DistinctRows distinct = distinct_rows(prepared);
  auto rows = timed(Phase::prefill, [&] {
    return prepare_rows(prepared, distinct.batch.compiled, steps, /*measures=*/true);
  });
  DecodeOptions options{.generation = settings.generation,
                        .residual_layers = residual_layers(settings),
                        .attention_layers = settings.attention_layers};
  if (runner.observe_step)
    options.observe_step = [&](std::int64_t step, const at::Tensor& logits) {
      runner.observe_step(step, by_row(logits, distinct));
    };
  const DecodedBatch batch = timed(Phase::decode, [&] {
    return whole_batch(decode(prepared, distinct.batch, std::move(rows), options), distinct,
                       bundle.shape);
  });
  timed(Phase::spectra, [&] {
    fill_geometry(prepared, batch, result.rows);
    fill_step_trace(prepared, batch, result.rows);
    fill_notebook_r_v(prepared, batch, result.rows);
  });
  const PhaseTimer readouts(runner.phases, Phase::readouts);
  fill_outcome(prepared, batch, result.rows);
  fill_patch_proofs(batch, result.rows);
  fill_tokens(prepared, batch, result.rows);
  fill_first_token(prepared, batch, result.rows);
  fill_answers(runner.tokenizer, prepared, batch, result.rows);
  fill_logit_lens(prepared, batch, result.rows);
  fill_state_distance(runner.natural, prepared, batch, result.rows);
  fill_attention(batch, settings.attention_layers, result.rows);
  fill_forced(prepared, batch, result.rows);
  fill_reencoded(runner.tokenizer, prepared, batch, result.rows);
}

BundleResult empty_result(const Bundle& bundle, const std::vector<ColumnSpec>& prompt_columns,
                          const std::vector<ColumnSpec>& row_columns) {
  BundleResult result;
  result.bundle = bundle.id;
  std::vector<std::int64_t> prompts, rows;
  for (const auto& context : bundle.contexts)
    if (context.records_prompt) prompts.push_back(context.prompt.value);
  for (const auto& row : bundle.rows) rows.push_back(row.row.value);
  result.prompts = empty_table(prompt_columns, prompts);
  result.rows = empty_table(row_columns, rows);
  return result;
}

/// What to change where a bundle needs more memory than the device has.
std::string less_memory(const Bundle& bundle, std::int64_t new_tokens) {
  return fmt::format(
      "bundle {} decodes {} rows from {} prompts of up to {} tokens, {} new ones each: set "
      "sweep.bundle_rows below {} (another sweep, so with another --out), or run where there is "
      "more memory: GPUs that nothing else uses, fewer ranks on a node, a larger limit of the job",
      bundle.id.value, bundle.shape.rows, bundle.shape.contexts, bundle.shape.prompt_length,
      new_tokens, bundle.shape.rows);
}

/// Tried once more with an empty cache, whose pieces may be too small for the bundle's tensors.
BundleResult compute_in_memory(const BundleRunner& runner, const Bundle& bundle) {
  const auto computed = [&] {
    BundleResult result = empty_result(bundle, runner.prompt_columns, runner.row_columns);
    compute(runner, bundle, result);
    return result;
  };
  try {
    return computed();
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    spdlog::warn("bundle {} found no memory and is tried again with the device's cache emptied",
                 bundle.id.value);
  }
  empty_cache(runner.model.placement().device);  // the first try's tensors are gone
  return computed();
}

/// What `work` returns, or every row failed by its error.
template <class Work>
BundleResult or_failed(const BundleRunner& runner, const Bundle& bundle, const Work& work) {
  try {
    return work();
  } catch (const ContractError&) {
    throw;  // a defect must not pass as a property of the rows
  } catch (const DeviceError&) {
    throw;  // nor must a broken device
  } catch (const std::exception& error) {
    const std::string message = error.what();  // libtorch appends a stack trace
    return failed_result(bundle, runner.prompt_columns, runner.row_columns,
                         message.substr(0, message.find('\n')));
  }
}

}  // namespace

BundleResult BundleRunner::run(const Bundle& bundle) const {
  BundleResult result = compute(bundle);
  read_texts(bundle, result);
  return result;
}

BundleResult BundleRunner::compute(const Bundle& bundle) const {
  return or_failed(*this, bundle, [&] {
    return naming_device_errors(model.placement().device,
                                less_memory(bundle, settings.generation.max_new_tokens),
                                [&] { return compute_in_memory(*this, bundle); });
  });
}

void BundleRunner::read_texts(const Bundle& bundle, BundleResult& result) const {
  const PhaseTimer timer(phases, Phase::texts);
  result = or_failed(*this, bundle, [&] {
    fill_texts(*this, bundle, result.rows);
    return std::move(result);
  });
}

BundleResult failed_result(const Bundle& bundle, const std::vector<ColumnSpec>& prompt_columns,
                           const std::vector<ColumnSpec>& row_columns, const std::string& reason) {
  BundleResult result = empty_result(bundle, prompt_columns, row_columns);
  std::ranges::fill(column(result.rows, columns::status), failed);
  std::ranges::fill(column(result.rows, columns::reason), reason);
  return result;
}

}  // namespace rvsweep
