#include "rvsweep/experiment/bundle_runner.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "experiment/behaviour.hpp"
#include "experiment/distinct_rows.hpp"
#include "experiment/forced.hpp"
#include "experiment/geometry_readouts.hpp"
#include "experiment/logit_readouts.hpp"
#include "experiment/reencode.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/kernels/device_error.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

constexpr auto ok = static_cast<std::int8_t>(RowStatus::ok),
               failed = static_cast<std::int8_t>(RowStatus::failed);

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
    const PatchProof& proof = batch.proofs[r];
    reason[r] = batch.rows[r].failure;
    if (reason[r].empty() && !plan.neutral && proof.change_squared == 0 && !plan.changes_length())
      reason[r] = "the patch changed nothing";
    status[r] = reason[r].empty() ? ok : failed;
    cells_changed[r] = proof.cells_changed;
    cells_dropped[r] = proof.cells_dropped;
    change_norm[r] = std::sqrt(proof.change_squared);
    future_keys[r] = static_cast<std::int32_t>(plan.future_keys());
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

/// Tokens and text of every row, and its behaviour; a text that cannot be searched fails its row.
void fill_texts(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                const DecodedBatch& batch, ItemTable& table) {
  const auto N = prepared.settings.generation.max_new_tokens;
  if (N == 0) return;
  auto& tokens = column(table, columns::tokens);  // [rows, N]
  auto& n_generated = column(table, columns::n_generated);
  auto& n_generated_v = column(table, columns::n_generated_v);
  auto& stop_reason = column(table, columns::stop_reason);
  auto& text = column(table, columns::text);
  std::vector<TextOfRow> texts;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const Generated& row = batch.rows[r];
    if (!row.failure.empty()) continue;
    std::copy(row.tokens.begin(), row.tokens.end(),
              tokens.begin() + static_cast<std::int64_t>(r) * N);
    n_generated[r] = static_cast<std::int32_t>(row.tokens.size());
    n_generated_v[r] = n_generated[r] - 1;
    stop_reason[r] = row.stopped_at_eos ? "eos" : "length";
    text[r] = tokenizer.decode(row.tokens);
    texts.push_back({r, text[r], donor_text(prepared.bundle, prepared.bundle.rows[r])});
  }
  for (const auto& [r, reason] : fill_behaviour(texts, prepared.settings.families, table)) {
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
  const PreparedBundle prepared = timed(
      Phase::prefill, [&] { return prepare_bundle(runner.model, settings, bundle, runner.means); });
  timed(Phase::spectra, [&] { fill_prompts(prepared, result.prompts); });
  if (bundle.rows.empty()) return;
  const auto steps = std::max<std::int64_t>(1, settings.generation.max_new_tokens);
  const DistinctRows distinct = distinct_rows(prepared);
  auto rows =
      timed(Phase::prefill, [&] { return prepare_rows(prepared, distinct.batch.compiled, steps); });
  DecodeOptions options{.generation = settings.generation,
                        .logit_lens_layers = settings.logit_lens_layers};
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
  fill_texts(runner.tokenizer, prepared, batch, result.rows);
  fill_first_token(prepared, batch, result.rows);
  fill_logit_lens(runner.model, batch, result.rows);
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

}  // namespace

BundleResult BundleRunner::run(const Bundle& bundle) const {
  try {
    return naming_device_errors(model.placement().device,
                                less_memory(bundle, settings.generation.max_new_tokens),
                                [&] { return compute_in_memory(*this, bundle); });
  } catch (const ContractError&) {
    throw;  // a defect must not pass as a property of the rows
  } catch (const DeviceError&) {
    throw;  // nor must a broken device
  } catch (const std::exception& error) {
    const std::string message = error.what();  // libtorch appends a stack trace
    return failed_result(bundle, prompt_columns, row_columns,
                         message.substr(0, message.find('\n')));
  }
}

BundleResult failed_result(const Bundle& bundle, const std::vector<ColumnSpec>& prompt_columns,
                           const std::vector<ColumnSpec>& row_columns, const std::string& reason) {
  BundleResult result = empty_result(bundle, prompt_columns, row_columns);
  std::ranges::fill(column(result.rows, columns::status), failed);
  std::ranges::fill(column(result.rows, columns::reason), reason);
  return result;
}

}  // namespace rvsweep
