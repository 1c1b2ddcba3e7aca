#include "rvsweep/experiment/bundle_runner.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "experiment/behaviour.hpp"
#include "experiment/columns.hpp"
#include "experiment/distinct_rows.hpp"
#include "experiment/logit_readouts.hpp"
#include "experiment/reencode.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/metrics/spectra.hpp"

namespace rvsweep {
namespace {

/// /prompts columns of the contexts whose geometry this bundle stores.
void fill_prompts(const BundleRunner& runner, const Bundle& bundle, const KvCache& contexts,
                  ItemTable& table) {
  const auto W = runner.settings.window, L = runner.model.config().n_layers;
  std::vector<VWindow> windows;
  std::vector<std::int64_t> lengths;
  for (std::size_t c = 0; c < bundle.contexts.size(); ++c) {
    if (!bundle.contexts[c].records_prompt) continue;
    const auto after = bundle.contexts[c].tokens_after_window;
    windows.push_back({static_cast<std::int64_t>(c), contexts.columns() - after});
    lengths.push_back(std::ssize(bundle.contexts[c].tokens) - after);
  }
  const auto spectra = window_spectra(contexts, windows, W,
                                      [&](std::size_t i, std::int64_t) { return lengths[i] >= W; });
  auto& stored = column<float>(table, "spectra");
  std::copy(spectra.begin(), spectra.end(), stored.begin());
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const double* of_prompt = &spectra[i * L * W];
    column<double>(table, "r_v")[i] =
        r_v_of(of_prompt, W, runner.settings.early_layer, runner.settings.late_layer);
    for (std::int64_t layer = 0; layer < L; ++layer) {
      const std::span<const double> sigma(of_prompt + layer * W, static_cast<std::size_t>(W));
      const std::size_t at = i * L + layer;
      column<double>(table, "pr")[at] = participation_ratio(sigma);
      column<double>(table, "effective_rank")[at] = effective_rank(sigma);
      column<double>(table, "spectral_entropy")[at] = spectral_entropy(sigma);
      column<double>(table, "stable_rank")[at] = stable_rank(sigma);
      column<double>(table, "nuclear_ratio")[at] = nuclear_ratio(sigma);
    }
  }
}

/// spectra_<which> and r_v_<which> of every row from one window each; nothing where not asked for.
void fill_window(const BundleRunner& runner, const DecodedBatch& batch, const std::string& which,
                 const std::vector<VWindow>& windows, const HasCells& has_cells, ItemTable& table) {
  auto* stored = find_column<float>(table, "spectra_" + which);
  if (stored == nullptr) return;
  const auto W = runner.settings.window, L = runner.model.config().n_layers;
  const auto spectra = window_spectra(batch.cache, windows, W, has_cells);
  std::copy(spectra.begin(), spectra.end(), stored->begin());
  auto& r_v = column<double>(table, "r_v_" + which);
  for (std::size_t r = 0; r < windows.size(); ++r)
    r_v[r] =
        r_v_of(&spectra[r * L * W], W, runner.settings.early_layer, runner.settings.late_layer);
}

/// Why a row's geometry has gaps; empty where it has none.
std::string geometry_gap(const BundleRunner& runner, const CompiledRow& plan, std::int64_t fed) {
  const auto W = runner.settings.window;
  std::int64_t fewest = plan.cached;
  for (std::int64_t layer = 0; layer < runner.model.config().n_layers; ++layer)
    fewest = std::min(fewest, plan.cells_at(layer));
  fewest += (plan.refeeds ? 0 : 1) - plan.n_after;
  std::string reason;
  const auto add = [&](std::int64_t have, const char* what) {
    if (have >= W) return;
    reason += (reason.empty() ? "" : "; ") + std::to_string(have) + what +
              ", fewer than the window of " + std::to_string(W);
  };
  if (runner.settings.readouts.spectra_prompt) add(fewest, " prompt cells at some layer");
  if (runner.settings.readouts.spectra_generated) add(fed, " generated tokens were fed");
  return reason;
}

/// The row's own V: the prompt window as the first generated position attends to it, and the window
/// of the generated tokens that were fed.
void fill_geometry(const BundleRunner& runner, const Bundle& bundle, const DecodedBatch& batch,
                   ItemTable& table) {
  const auto W = runner.settings.window, T = bundle.shape.prompt_length;
  std::vector<VWindow> prompt, generated;
  std::vector<std::int64_t> fed;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const auto row = static_cast<std::int64_t>(r);
    fed.push_back(std::max<std::int64_t>(0, std::ssize(batch.rows[r].tokens) - 1));
    // Column T holds V of b[n-1] as it was fed; a refed b[n-1] is in the prompt's cells already.
    prompt.push_back({row, (batch.plans[r].refeeds ? T : T + 1) - batch.plans[r].n_after});
    generated.push_back({row, T + 1 + fed.back()});
    if (batch.rows[r].failure.empty())
      column<std::string>(table, "geometry_reason")[r] =
          geometry_gap(runner, batch.plans[r], fed.back());
  }
  fill_window(
      runner, batch, "prompt", prompt,
      [&](std::size_t r, std::int64_t layer) {
        const CompiledRow& plan = batch.plans[r];
        const auto cells = plan.cells_at(layer) + (plan.refeeds ? 0 : 1) - plan.n_after;
        return batch.rows[r].failure.empty() && cells >= W;
      },
      table);
  fill_window(
      runner, batch, "generated", generated,
      [&](std::size_t r, std::int64_t) { return batch.rows[r].failure.empty() && fed[r] >= W; },
      table);
}

/// PR of the last W tokens' V after every fed token: prompt cells and, from the right, fed tokens.
void fill_step_trace(const BundleRunner& runner, const Bundle& bundle, const DecodedBatch& batch,
                     ItemTable& table) {
  auto* stored = find_column<float>(table, "step_pr");
  if (stored == nullptr) return;
  const auto W = runner.settings.window, N = runner.settings.generation.max_new_tokens;
  const auto L = runner.model.config().n_layers, first = bundle.shape.prompt_length + 1 - W;
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const at::Tensor pr = sliding_participation_ratio(batch.cache.v[layer], first, N, W);
    for (std::size_t r = 0; r < batch.rows.size(); ++r) {
      const CompiledRow& plan = batch.plans[r];
      const auto fed = std::ssize(batch.rows[r].tokens);  // b[n-1] and all tokens but the last
      for (std::int64_t t = 0; t < fed && batch.rows[r].failure.empty(); ++t)
        if (plan.cells_at(layer) + t + 1 >= W)
          (*stored)[(r * L + layer) * N + t] = pr.const_data_ptr<float>()[r * N + t];
    }
  }
}

/// The notebook's hook order for notebook_b: V is captured as v_proj gives it, before the patch.
/// The one patched layer then still has base's V; every other layer has the row's own.
void fill_notebook_r_v(const BundleRunner& runner, const Bundle& bundle, const KvCache& contexts,
                       const DecodedBatch& batch, ItemTable& table) {
  auto* r_v = find_column<double>(table, "r_v_notebook");
  if (r_v == nullptr) return;
  const auto W = runner.settings.window, T = contexts.columns();
  const auto pr_at = [&](std::size_t r, std::int64_t layer) {
    const CompiledRow& plan = batch.plans[r];
    const bool before_patch = plan.patches_site(layer);
    const at::Tensor v = before_patch ? contexts.v[layer][plan.base] : batch.cache.v[layer][r];
    const at::Tensor block =
        v.narrow(1, (before_patch ? T : T + 1) - plan.n_after - W, W)  // [nkv, W, hd]
            .transpose(0, 1)
            .reshape({W, -1});
    const at::Tensor sigma = singular_values(block).to(at::kCPU).contiguous();
    return participation_ratio(
        {sigma.const_data_ptr<double>(), static_cast<std::size_t>(sigma.numel())});
  };
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const auto& arm = runner.settings.arms[bundle.rows[r].arm.value];
    if (arm.preset != "notebook_b" || batch.plans[r].cached + 1 - batch.plans[r].n_after < W)
      continue;
    (*r_v)[r] = pr_at(r, runner.settings.late_layer) / pr_at(r, runner.settings.early_layer);
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

/// Tokens, text, behaviour, proof and status of every row.
void fill_rows(const BundleRunner& runner, const Bundle& bundle, const DecodedBatch& batch,
               ItemTable& table) {
  const auto N = runner.settings.generation.max_new_tokens;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const Generated& row = batch.rows[r];
    const CompiledRow& plan = batch.plans[r];
    const PatchProof& proof = batch.proofs[r];
    std::string failure = row.failure;
    if (failure.empty() && !plan.neutral && proof.change_squared == 0)
      failure = "the patch changed nothing";
    auto& status = column<std::int8_t>(table, "status")[r];
    status = static_cast<std::int8_t>(failure.empty() ? RowStatus::ok : RowStatus::failed);
    column<std::string>(table, "reason")[r] = failure;
    column<std::int64_t>(table, "cells_changed")[r] = proof.cells_changed;
    column<std::int64_t>(table, "cells_dropped")[r] = proof.cells_dropped;
    column<double>(table, "change_norm")[r] = std::sqrt(proof.change_squared);
    column<std::int32_t>(table, "future_keys")[r] = static_cast<std::int32_t>(plan.future_keys());
    if (!row.failure.empty()) continue;
    if (N == 0) continue;
    std::copy(row.tokens.begin(), row.tokens.end(),
              column<std::int32_t>(table, "tokens").begin() + static_cast<std::int64_t>(r) * N);
    const auto n_generated = static_cast<std::int32_t>(row.tokens.size());
    column<std::int32_t>(table, "n_generated")[r] = n_generated;
    column<std::int32_t>(table, "n_generated_v")[r] = n_generated - 1;
    column<std::string>(table, "stop_reason")[r] = row.stopped_at_eos ? "eos" : "length";
    const std::string text = runner.tokenizer.decode(row.tokens);
    column<std::string>(table, "text")[r] = text;
    try {
      fill_behaviour({text, donor_text(bundle, bundle.rows[r])}, runner.settings.families, r,
                     table);
    } catch (const InputError& error) {  // a pattern that gives up on this text
      status = static_cast<std::int8_t>(RowStatus::failed);
      column<std::string>(table, "reason")[r] = error.what();
    }
  }
}

void compute(const BundleRunner& runner, const Bundle& bundle, BundleResult& result) {
  const c10::InferenceMode no_autograd;
  const Transformer& model = runner.model;
  const SweepSettings& settings = runner.settings;
  auto plans = compile_rows(settings, bundle, model.config());
  const auto timed = [&](Phase phase, const auto& work) {
    const PhaseTimer timer(runner.phases, phase);
    return work();
  };
  const BundleContexts contexts = timed(Phase::prefill, [&] {
    return prepare_contexts(model, settings, bundle, plans, runner.means);
  });
  timed(Phase::spectra,
        [&] { fill_prompts(runner, bundle, contexts.state.cache, result.prompts); });
  if (bundle.rows.empty()) return;
  const auto steps = std::max<std::int64_t>(1, settings.generation.max_new_tokens);
  const DistinctRows distinct = distinct_rows(settings, bundle, model.config());
  auto prepared = timed(Phase::prefill, [&] {
    return prepare_rows(model, settings, compile_rows(settings, distinct.bundle, model.config()),
                        contexts.state, steps);
  });
  StepObserver observe_step;
  if (runner.observe_step)
    observe_step = [&](std::int64_t step, const at::Tensor& logits) {
      runner.observe_step(step, by_row(logits, distinct));
    };
  const DecodedBatch batch = timed(Phase::decode, [&] {
    return whole_batch(
        decode(model, settings, distinct.bundle, std::move(prepared), contexts.state, observe_step),
        distinct, std::move(plans));
  });
  timed(Phase::spectra, [&] {
    fill_geometry(runner, bundle, batch, result.rows);
    fill_step_trace(runner, bundle, batch, result.rows);
    fill_notebook_r_v(runner, bundle, contexts.state.cache, batch, result.rows);
  });
  const PhaseTimer readouts(runner.phases, Phase::readouts);
  fill_rows(runner, bundle, batch, result.rows);
  fill_first_token(settings, bundle, contexts, batch, result.rows);
  fill_logit_lens(model, batch, result.rows);
  fill_forced(model, settings, bundle, contexts, batch, result.rows);
  if (auto* r_v = find_column<double>(result.rows, "r_v_reencoded"))
    *r_v = reencoded_r_v(runner, bundle, contexts.state.cache,
                         column<std::string>(result.rows, "text"), batch);
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

}  // namespace

BundleResult BundleRunner::run(const Bundle& bundle) const {
  try {
    BundleResult result = empty_result(bundle, prompt_columns, row_columns);
    compute(*this, bundle, result);
    return result;
  } catch (const ContractError&) {
    throw;  // a defect must not pass as a property of the rows
  } catch (const std::exception& error) {
    const std::string message = error.what();  // libtorch appends a stack trace
    return failed_result(bundle, prompt_columns, row_columns,
                         message.substr(0, message.find('\n')));
  }
}

BundleResult failed_result(const Bundle& bundle, const std::vector<ColumnSpec>& prompt_columns,
                           const std::vector<ColumnSpec>& row_columns, const std::string& reason) {
  BundleResult result = empty_result(bundle, prompt_columns, row_columns);
  auto& status = column<std::int8_t>(result.rows, "status");
  std::fill(status.begin(), status.end(), static_cast<std::int8_t>(RowStatus::failed));
  auto& reasons = column<std::string>(result.rows, "reason");
  std::fill(reasons.begin(), reasons.end(), reason);
  return result;
}

}  // namespace rvsweep
