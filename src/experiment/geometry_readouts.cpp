#include "experiment/geometry_readouts.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <functional>
#include <span>

#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/metrics/spectra.hpp"
#include "rvsweep/plan/result_schema.hpp"

// Shapes: L layers, W tokens of a window, N new tokens at most, T prompt columns.

namespace rvsweep {
namespace {

bool has_result(const DecodedBatch& batch, std::size_t row) {
  return batch.rows[row].failure.empty();
}

/// Prompt cells up to the window's end that a row of so many steps has at a layer in the end.
std::int64_t prompt_cells(const CompiledRow& plan, std::int64_t layer, std::int64_t n_steps) {
  return plan.cells_at(layer, std::max<std::int64_t>(n_steps - 1, 0)) + (plan.refeeds ? 0 : 1) -
         plan.n_after;
}

/// The columns of one kind of window: spectra, sums, and R_V raw, centred and corrected.
struct WindowColumns {
  ColumnKey<float> spectra, sums;
  ColumnKey<double> r_v, r_v_centred, r_v_corrected;
  ColumnKey<float> window_pr;
};

/// One participation ratio of every window at every layer: [windows, L].
struct ParticipationRatios {
  std::vector<double> raw, centred, corrected;
};

ParticipationRatios participation_ratios(const WindowGeometry& geometry, std::int64_t W) {
  ParticipationRatios pr;
  for (std::size_t i = 0; i * gram_sums < geometry.sums.size(); ++i) {
    const std::span sums(&geometry.sums[i * gram_sums], gram_sums);
    pr.raw.push_back(participation_ratio(
        {&geometry.spectra[i * static_cast<std::size_t>(W)], static_cast<std::size_t>(W)}));
    pr.centred.push_back(centred_participation_ratio(sums));
    pr.corrected.push_back(corrected_participation_ratio(sums, W));
  }
  return pr;
}

/// Cells that window i may reach back over at a layer.
using CellsBefore = std::function<std::int64_t(std::size_t window, std::int64_t layer)>;

/// Stores PR of the windows of length k of K: [windows, K, L, 3].
void store_window_pr(const ParticipationRatios& pr, std::size_t k, std::size_t K, std::size_t L,
                     std::vector<float>& stored) {
  for (std::size_t i = 0; i * L < pr.raw.size(); ++i)
    for (std::size_t l = 0; l < L; ++l) {
      float* const out = &stored[((i * K + k) * L + l) * 3];
      out[0] = static_cast<float>(pr.raw[i * L + l]);
      out[1] = static_cast<float>(pr.centred[i * L + l]);
      out[2] = static_cast<float>(pr.corrected[i * L + l]);
    }
}

/// PR of windows of every length that end alike; nothing where one length alone is asked for.
void fill_window_pr(const SweepSettings& settings, const KvCache& cache,
                    const std::vector<Window>& ends, const CellsBefore& cells_before,
                    ColumnKey<float> key, ItemTable& table) {
  auto* stored = find_column(table, key);
  if (stored == nullptr) return;
  const std::size_t K = settings.windows.size(), L = static_cast<std::size_t>(cache.v.size(0));
  for (std::size_t k = 0; k < K; ++k) {
    const std::int64_t W = settings.windows[k];
    const auto pr = participation_ratios(
        window_geometry(cache, ends, W,
                        [&](std::size_t i, std::int64_t l) { return cells_before(i, l) >= W; }),
        W);
    store_window_pr(pr, k, K, L, *stored);
  }
}

/// pr[late] / pr[early] of every window.
void fill_r_v(const SweepSettings& settings, const std::vector<double>& pr,
              std::vector<double>& r_v) {
  const std::size_t L = r_v.empty() ? 0 : pr.size() / r_v.size();
  for (std::size_t i = 0; i < r_v.size(); ++i)
    r_v[i] = pr[i * L + settings.late_layer] / pr[i * L + settings.early_layer];
}

/// Prompt tokens that a sites' window may hold: the last of row `values` of the captures but
/// `after` of them, `length` in all.
struct SiteWindow {
  std::int64_t values = 0, after = 0, length = 0;
};

/// What V's columns are in a table.
struct SiteKeys {
  ColumnKey<float> spectra, window_pr;
  ColumnKey<double> r_v;
};

/// Spectra, PR by window and R_V of every site that is measured, from its captures layer by layer.
void fill_sites(const SweepSettings& settings, const std::vector<SiteCapture>& captures,
                const std::vector<SiteWindow>& items, const SiteKeys& keys, ItemTable& table) {
  const auto& sites = settings.readouts.spectra_sites;
  const auto windows = settings.windows.empty() ? std::vector{settings.window} : settings.windows;
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const auto values = [&](auto key) -> auto& {
      const std::string name = of_site(key.name, sites[s]);
      key.name = name.c_str();
      return column(table, key);
    };
    const std::size_t L = captures.size() / sites.size();
    std::vector<at::Tensor> layers;  // [rows, heads, queries, dim]
    for (std::size_t l = 0; l < L; ++l)
      layers.push_back(captures[s * L + l].values.transpose(1, 2));
    std::vector<Window> ends;
    for (const SiteWindow& item : items)
      ends.push_back({item.values, layers.front().size(2) - item.after});
    for (std::size_t k = 0; k < windows.size(); ++k) {
      const auto geometry = window_geometry(
          layers, ends, windows[k],
          [&](std::size_t i, std::int64_t) { return items[i].length >= windows[k]; });
      const auto pr = participation_ratios(geometry, windows[k]);
      store_window_pr(pr, k, windows.size(), L, values(keys.window_pr));
      if (k > 0) continue;
      std::ranges::copy(geometry.spectra, values(keys.spectra).begin());
      fill_r_v(settings, pr.raw, values(keys.r_v));
    }
  }
}

/// Of every row's window; nothing where they are off.
void fill_window(const PreparedBundle& prepared, const DecodedBatch& batch,
                 const WindowColumns& keys, const std::vector<Window>& windows,
                 const CellsBefore& cells_before, ItemTable& table) {
  auto* stored = find_column(table, keys.spectra);
  if (stored == nullptr) return;
  const SweepSettings& settings = prepared.settings;
  const auto W = settings.window;
  const auto geometry = window_geometry(
      batch.cache, windows, W,
      [&](std::size_t r, std::int64_t layer) { return cells_before(r, layer) >= W; });
  std::ranges::copy(geometry.spectra, stored->begin());
  std::ranges::copy(geometry.sums, column(table, keys.sums).begin());
  fill_window_pr(settings, batch.cache, windows, cells_before, keys.window_pr, table);
  const auto pr = participation_ratios(geometry, W);
  fill_r_v(settings, pr.raw, column(table, keys.r_v));
  fill_r_v(settings, pr.centred, column(table, keys.r_v_centred));
  fill_r_v(settings, pr.corrected, column(table, keys.r_v_corrected));
}

/// Why a row's geometry has gaps; empty where it has none. `fed`: generated tokens that were fed.
std::string geometry_gap(const PreparedBundle& prepared, const CompiledRow& plan,
                         std::int64_t fed) {
  const SweepSettings& settings = prepared.settings;
  std::int64_t fewest = plan.cached + (plan.refeeds ? 0 : 1) - plan.n_after;
  for (std::int64_t layer = 0; layer < prepared.model.config().n_layers; ++layer)
    fewest = std::min(fewest, prompt_cells(plan, layer, fed + 1));
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

/// Whether the window of a step holds prompt cells that a row of so many steps replaces later.
bool is_replaced_later(const CompiledRow& plan, std::int64_t layer, std::int64_t step,
                       std::int64_t n_steps, std::int64_t W) {
  return step + 1 < W && std::ranges::any_of(plan.cache, [&](const CompiledCachePatch& patch) {
           return patch.layers[layer] && patch.at_step > step && patch.at_step < n_steps;
         });
}

}  // namespace

void fill_prompts(const PreparedBundle& prepared, ItemTable& table) {
  const SweepSettings& settings = prepared.settings;
  const ContextState& contexts = prepared.contexts;
  const KvCache& cache = contexts.cache;
  const auto W = settings.window;
  std::vector<Window> windows;
  std::vector<std::int64_t> lengths;
  std::vector<SiteWindow> of_sites;
  for (std::size_t c = 0; c < prepared.bundle.contexts.size(); ++c) {
    const BundleContext& context = prepared.bundle.contexts[c];
    if (!context.records_prompt) continue;
    const auto after = context.tokens_after_window;
    windows.push_back({contexts.slots[c].row, contexts.slots[c].end - after});
    lengths.push_back(std::ssize(context.tokens) - after);
    of_sites.push_back({static_cast<std::int64_t>(c), after, lengths.back()});
  }
  const auto geometry = window_geometry(
      cache, windows, W, [&](std::size_t i, std::int64_t) { return lengths[i] >= W; });
  std::ranges::copy(geometry.spectra, column(table, columns::spectra).begin());
  std::ranges::copy(geometry.sums, column(table, columns::gram_sums).begin());
  const auto pr = participation_ratios(geometry, W);
  fill_window_pr(
      settings, cache, windows, [&](std::size_t i, std::int64_t) { return lengths[i]; },
      columns::window_pr, table);
  column(table, columns::pr) = pr.raw;
  column(table, columns::pr_centred) = pr.centred;
  column(table, columns::pr_corrected) = pr.corrected;
  fill_r_v(settings, pr.raw, column(table, columns::r_v));
  fill_r_v(settings, pr.centred, column(table, columns::r_v_centred));
  fill_r_v(settings, pr.corrected, column(table, columns::r_v_corrected));
  fill_sites(settings, contexts.measured, of_sites,
             {columns::spectra, columns::window_pr, columns::r_v}, table);
  const auto fill_metric = [&](ColumnKey<double> key, double (*metric)(std::span<const double>)) {
    auto& values = column(table, key);  // [prompts, L]
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = metric({&geometry.spectra[i * W], static_cast<std::size_t>(W)});
  };
  fill_metric(columns::effective_rank, effective_rank);
  fill_metric(columns::spectral_entropy, spectral_entropy);
  fill_metric(columns::stable_rank, stable_rank);
  fill_metric(columns::nuclear_ratio, nuclear_ratio);
}

void fill_geometry(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  const auto T = prepared.bundle.shape.prompt_length;
  auto& reasons = column(table, columns::geometry_reason);
  std::vector<Window> prompt, generated;
  std::vector<std::int64_t> fed;
  std::vector<SiteWindow> of_sites;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    const CompiledRow& plan = prepared.rows[r];
    const std::int64_t slot = batch.slots[r];
    fed.push_back(std::max<std::int64_t>(0, std::ssize(batch.rows[r].tokens) - 1));
    // Column T holds V of b[n-1] as it was fed; a refed b[n-1] is in the prompt's cells already.
    prompt.push_back({slot, (plan.refeeds ? T : T + 1) - plan.n_after});
    generated.push_back({slot, T + 1 + fed.back()});
    of_sites.push_back({slot, plan.n_after, has_result(batch, r) ? plan.n - plan.n_after : 0});
    if (has_result(batch, r)) reasons[r] = geometry_gap(prepared, plan, fed.back());
  }
  const CellsBefore prompt_before = [&](std::size_t r, std::int64_t layer) {
    return has_result(batch, r)
               ? prompt_cells(prepared.rows[r], layer, std::ssize(batch.rows[r].tokens))
               : 0;
  };
  const CellsBefore generated_before = [&](std::size_t r, std::int64_t) {
    return has_result(batch, r) ? fed[r] : 0;
  };
  fill_window(
      prepared, batch,
      {columns::spectra_prompt, columns::gram_sums_prompt, columns::r_v_prompt,
       columns::r_v_prompt_centred, columns::r_v_prompt_corrected, columns::window_pr_prompt},
      prompt, prompt_before, table);
  fill_window(prepared, batch,
              {columns::spectra_generated, columns::gram_sums_generated, columns::r_v_generated,
               columns::r_v_generated_centred, columns::r_v_generated_corrected,
               columns::window_pr_generated},
              generated, generated_before, table);
  fill_sites(prepared.settings, batch.measured, of_sites,
             {columns::spectra_prompt, columns::window_pr_prompt, columns::r_v_prompt}, table);
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
        if (plan.cells_at(layer, t) + t + 1 >= W && !is_replaced_later(plan, layer, t, fed, W))
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
