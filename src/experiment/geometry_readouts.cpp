#include "experiment/geometry_readouts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/metrics/spectra.hpp"
#include "rvsweep/plan/result_schema.hpp"

// Shapes: L layers, W tokens of a window, N new tokens at most, T prompt columns.

namespace rvsweep {
namespace {

bool has_result(const DecodedBatch& batch, std::size_t row) {
  return batch.rows[row].failure.empty();
}

/// Prompt cells up to the window's end that the first generated position sees at a layer.
std::int64_t prompt_cells(const CompiledRow& plan, std::int64_t layer) {
  return plan.cells_at(layer) + (plan.refeeds ? 0 : 1) - plan.n_after;
}

/// A spectra column and its R_V from one window per row; nothing where they are off.
void fill_window(const PreparedBundle& prepared, const DecodedBatch& batch,
                 ColumnKey<float> spectra_key, ColumnKey<double> r_v_key,
                 const std::vector<VWindow>& windows, const HasCells& has_cells, ItemTable& table) {
  auto* stored = find_column(table, spectra_key);
  if (stored == nullptr) return;
  const SweepSettings& settings = prepared.settings;
  const auto W = settings.window, L = prepared.model.config().n_layers;
  const auto spectra = window_spectra(batch.cache, windows, W, has_cells);
  std::copy(spectra.begin(), spectra.end(), stored->begin());
  auto& r_v = column(table, r_v_key);
  for (std::size_t r = 0; r < windows.size(); ++r)
    r_v[r] = r_v_of(&spectra[r * L * W], W, settings.early_layer, settings.late_layer);
}

/// Why a row's geometry has gaps; empty where it has none. `fed`: generated tokens that were fed.
std::string geometry_gap(const PreparedBundle& prepared, const CompiledRow& plan,
                         std::int64_t fed) {
  const SweepSettings& settings = prepared.settings;
  std::int64_t fewest = plan.cached + (plan.refeeds ? 0 : 1) - plan.n_after;
  for (std::int64_t layer = 0; layer < prepared.model.config().n_layers; ++layer)
    fewest = std::min(fewest, prompt_cells(plan, layer));
  std::string reason;
  const auto add = [&](std::int64_t have, const char* what) {
    if (have >= settings.window) return;
    reason += (reason.empty() ? "" : "; ") + std::to_string(have) + what +
              ", fewer than the window of " + std::to_string(settings.window);
  };
  if (settings.readouts.spectra_prompt) add(fewest, " prompt cells at some layer");
  if (settings.readouts.spectra_generated) add(fed, " generated tokens were fed");
  return reason;
}

}  // namespace

void fill_prompts(const PreparedBundle& prepared, ItemTable& table) {
  const SweepSettings& settings = prepared.settings;
  const ContextState& contexts = prepared.contexts;
  const auto W = settings.window, L = prepared.model.config().n_layers;
  std::vector<VWindow> windows;
  std::vector<std::int64_t> lengths;
  for (std::size_t c = 0; c < prepared.bundle.contexts.size(); ++c) {
    const BundleContext& context = prepared.bundle.contexts[c];
    if (!context.records_prompt) continue;
    const auto after = context.tokens_after_window;
    windows.push_back({contexts.slots[c].row, contexts.slots[c].end - after});
    lengths.push_back(std::ssize(context.tokens) - after);
  }
  const auto spectra = window_spectra(contexts.cache, windows, W,
                                      [&](std::size_t i, std::int64_t) { return lengths[i] >= W; });
  std::copy(spectra.begin(), spectra.end(), column(table, columns::spectra).begin());
  auto& r_v = column(table, columns::r_v);
  for (std::size_t i = 0; i < windows.size(); ++i)
    r_v[i] = r_v_of(&spectra[i * L * W], W, settings.early_layer, settings.late_layer);
  const auto fill_metric = [&](ColumnKey<double> key, double (*metric)(std::span<const double>)) {
    auto& values = column(table, key);  // [prompts, L]
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = metric({&spectra[i * W], static_cast<std::size_t>(W)});
  };
  fill_metric(columns::pr, participation_ratio);
  fill_metric(columns::effective_rank, effective_rank);
  fill_metric(columns::spectral_entropy, spectral_entropy);
  fill_metric(columns::stable_rank, stable_rank);
  fill_metric(columns::nuclear_ratio, nuclear_ratio);
}

void fill_geometry(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  const auto W = prepared.settings.window, T = prepared.bundle.shape.prompt_length;
  auto& reasons = column(table, columns::geometry_reason);
  std::vector<VWindow> prompt, generated;
  std::vector<std::int64_t> fed;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const CompiledRow& plan = prepared.rows[r];
    const std::int64_t slot = batch.slots[r];
    fed.push_back(std::max<std::int64_t>(0, std::ssize(batch.rows[r].tokens) - 1));
    // Column T holds V of b[n-1] as it was fed; a refed b[n-1] is in the prompt's cells already.
    prompt.push_back({slot, (plan.refeeds ? T : T + 1) - plan.n_after});
    generated.push_back({slot, T + 1 + fed.back()});
    if (has_result(batch, r)) reasons[r] = geometry_gap(prepared, plan, fed.back());
  }
  fill_window(
      prepared, batch, columns::spectra_prompt, columns::r_v_prompt, prompt,
      [&](std::size_t r, std::int64_t layer) {
        return has_result(batch, r) && prompt_cells(prepared.rows[r], layer) >= W;
      },
      table);
  fill_window(
      prepared, batch, columns::spectra_generated, columns::r_v_generated, generated,
      [&](std::size_t r, std::int64_t) { return has_result(batch, r) && fed[r] >= W; }, table);
}

void fill_step_trace(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  auto* stored = find_column(table, columns::step_pr);
  if (stored == nullptr) return;
  const SweepSettings& settings = prepared.settings;
  const auto W = settings.window, N = settings.generation.max_new_tokens;
  const auto L = prepared.model.config().n_layers;
  const auto first = prepared.bundle.shape.prompt_length + 1 - W;
  const auto slots = at::tensor(batch.slots, at::kLong).to(batch.cache.v.device());
  for (std::int64_t layer = 0; layer < L; ++layer) {
    const at::Tensor v = batch.cache.v[layer].index_select(0, slots);
    const at::Tensor pr = sliding_participation_ratio(v, first, N, W);
    for (std::size_t r = 0; r < batch.rows.size(); ++r) {
      const CompiledRow& plan = prepared.rows[r];
      const auto fed = std::ssize(batch.rows[r].tokens);  // b[n-1] and all tokens but the last
      for (std::int64_t t = 0; t < fed && has_result(batch, r); ++t)
        if (plan.cells_at(layer) + t + 1 >= W)
          (*stored)[(r * L + layer) * N + t] = pr.const_data_ptr<float>()[r * N + t];
    }
  }
}

void fill_notebook_r_v(const PreparedBundle& prepared, const DecodedBatch& batch,
                       ItemTable& table) {
  auto* r_v = find_column(table, columns::r_v_notebook);
  if (r_v == nullptr) return;
  const SweepSettings& settings = prepared.settings;
  const ContextState& contexts = prepared.contexts;
  const auto W = settings.window, T = contexts.columns;
  const auto pr_at = [&](std::size_t r, std::int64_t layer) {
    const CompiledRow& plan = prepared.rows[r];
    const bool before_patch = plan.patches_site(layer);
    const at::Tensor v =  // [nkv, columns, hd], the last W + n_after or those up to b[n-1]
        before_patch ? contexts.last_cells(plan.base, W + plan.n_after).v[layer][0]
                     : batch.cache.v[layer][batch.slots[r]].narrow(1, 0, T + 1);
    const at::Tensor block =
        v.narrow(1, v.size(1) - plan.n_after - W, W).transpose(0, 1).reshape({W, -1});
    const at::Tensor sigma = singular_values(block).contiguous();
    return participation_ratio(
        {sigma.const_data_ptr<double>(), static_cast<std::size_t>(sigma.numel())});
  };
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const CompiledRow& plan = prepared.rows[r];
    const auto& arm = settings.arms[prepared.bundle.rows[r].arm.value];
    if (arm.preset != "notebook_b" || plan.cached + 1 - plan.n_after < W) continue;
    (*r_v)[r] = pr_at(r, settings.late_layer) / pr_at(r, settings.early_layer);
  }
}

}  // namespace rvsweep
