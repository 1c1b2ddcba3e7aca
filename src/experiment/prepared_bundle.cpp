#include "experiment/prepared_bundle.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "experiment/prefill.hpp"
#include "rvsweep/intervention/measured_sites.hpp"
#include "rvsweep/intervention/prompt_cache.hpp"
#include "rvsweep/intervention/site_patch.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

std::vector<CompiledRow> compile_rows(const SweepSettings& settings, const Bundle& bundle,
                                      const ModelConfig& config) {
  std::vector<CompiledRow> rows;
  for (const BundleRow& row : bundle.rows)
    rows.push_back(compile_row(settings.arms.at(static_cast<std::size_t>(row.arm.value)), row,
                               bundle, bundle.shape.contexts, config));
  rows.resize(static_cast<std::size_t>(bundle.shape.rows), padding_row(bundle, config));
  return rows;
}

/// `values` with `more` empty slots after its own.
at::Tensor with_slots(const at::Tensor& values, std::int64_t more) {
  auto shape = values.sizes().vec();
  shape[0] = more;
  return at::cat({values, at::zeros(shape, values.options())});
}

/// Of every layer of the sites whose spectra are asked for, the last `tokens`.
std::vector<SiteCapture> measured_sites(const SweepSettings& settings, std::int64_t n_layers,
                                        std::int64_t tokens) {
  std::vector<SiteCapture> captures;
  for (const Site site : settings.readouts.spectra_sites)
    for (std::int64_t layer = 0; layer < n_layers; ++layer)
      captures.push_back({site, layer, tokens});
  return captures;
}

/// Feeds the prompts of a bundle of short ones, a row each.
at::Tensor run_together(PreparedBundle& prepared, const ForwardInput& input) {
  const BundleShape& shape = prepared.bundle.shape;
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& context : prepared.bundle.contexts) prompts.push_back(context.tokens);
  KvCache of_prompts = prepared.contexts.cache.some_rows(0, shape.contexts);
  return feed_prompts(prepared.model, prompts, input, of_prompts, shape.prompts_at_once);
}

/// Feeds long prompts one by one. Of those that no row reads, the cells of a window are kept, and
/// their last queries' outputs are zeros; outputs of every query are aligned at their ends.
at::Tensor run_alone(PreparedBundle& prepared, const ForwardInput& input) {
  const Transformer& model = prepared.model;
  const auto T = prepared.contexts.columns, L = model.config().n_layers;
  const bool wants_all = input.outputs == Outputs::every_query;
  PromptPasses passes;
  for (std::int64_t c = 0; c < std::ssize(prepared.bundle.contexts); ++c) {
    const BundleContext& context = prepared.bundle.contexts[static_cast<std::size_t>(c)];
    const auto n = std::max<std::int64_t>(std::ssize(context.tokens), context.columns);
    const bool is_read = context.columns == n;
    KvCache cache = is_read ? prepared.contexts.last_cells(c, n)
                            : KvCache::allocate(model.config(), model.placement(), 1, n);
    ForwardInput of_prompt = input;
    if (!is_read && !wants_all) {
      of_prompt.last_kv_layer = last_layer_for(*input.captures, L);
      of_prompt.outputs = Outputs::none;
    }
    at::Tensor output = feed_prompts(model, {context.tokens}, of_prompt, cache);
    if (wants_all)
      output = at::constant_pad_nd(output, {0, 0, T - n, 0});
    else if (!is_read && input.outputs != Outputs::none)
      output = at::zeros({1, model.config().hidden_size}, cache.v.options());
    if (!is_read)
      prepared.contexts.last_cells(c, context.columns)
          .v.copy_(cache.some_columns(n - context.columns, context.columns).v);
    passes.add(output, input.captures);
  }
  return passes.joined(input.captures);
}

/// Fills the slots of the bundle's prompts.
void run_prompts(PreparedBundle& prepared) {
  const Transformer& model = prepared.model;
  const Bundle& bundle = prepared.bundle;
  ContextState& contexts = prepared.contexts;
  const auto L = model.config().n_layers;
  const SweepSettings& settings = prepared.settings;
  const auto queries = bundle.shape.captured_tokens;
  std::vector<SiteCapture> captures = captures_for(prepared.rows, queries);
  const auto n_sites = std::ssize(captures);
  for (const SiteCapture& stream : streams_for(prepared.rows, queries)) captures.push_back(stream);
  const auto n_patched = std::ssize(captures);
  for (const SiteCapture& site : measured_sites(settings, L, bundle.shape.measured_tokens))
    captures.push_back(site);
  const bool wants_first = prepared.settings.readouts.first_token && !bundle.rows.empty(),
             wants_all = prepared.settings.readouts.prompt_logprob;
  ForwardInput input;
  input.captures = &captures;
  input.last_kv_layer = wants_first || wants_all ? L : last_layer_for(captures, L);
  input.outputs = wants_all     ? Outputs::every_query
                  : wants_first ? Outputs::last_query
                                : Outputs::none;
  const at::Tensor residual =
      are_long(contexts.columns) ? run_alone(prepared, input) : run_together(prepared, input);
  if (wants_all) prepared.residual = residual;
  if (wants_first)
    prepared.first_logits =
        model.unembed(wants_all ? residual.select(1, -1).contiguous() : residual).to(at::kFloat);
  contexts.sites.assign(captures.begin(), captures.begin() + n_sites);
  contexts.streams.assign(captures.begin() + n_sites, captures.begin() + n_patched);
  contexts.measured.assign(captures.begin() + n_patched, captures.end());
}

}  // namespace

CompiledRow padding_row(const Bundle& bundle, const ModelConfig& config) {
  return compile_row(Arm{}, BundleRow{}, bundle, bundle.shape.contexts, config);
}

PreparedBundle prepare_bundle(const Transformer& model, const SweepSettings& settings,
                              const Bundle& bundle, const MeanDonors& means) {
  PreparedBundle prepared{.model = model,
                          .settings = settings,
                          .bundle = bundle,
                          .rows = compile_rows(settings, bundle, model.config())};
  const auto C = bundle.shape.contexts, n_derived = std::ssize(bundle.derived);
  prepared.contexts = ContextState::allocate(model.config(), model.placement(),
                                             slot_columns(bundle), bundle.shape.prompt_length);
  prepared.contexts.directions = &settings.directions;
  run_prompts(prepared);
  if (n_derived == 0) return prepared;
  for (SiteCapture& capture : prepared.contexts.sites)
    capture.values = with_slots(capture.values, n_derived);
  derive_donors(model, bundle, settings.seed, C, means, prepared.contexts);
  return prepared;
}

RowBatch unpatched_rows(const Bundle& bundle, const ModelConfig& config) {
  RowBatch batch;
  for (std::int32_t c = 0; c < std::ssize(bundle.contexts); ++c) {
    BundleRow row;
    row.base = c;
    batch.compiled.push_back(compile_row(Arm{}, row, bundle, bundle.shape.contexts, config));
    batch.rows.push_back(std::move(row));
  }
  batch.compiled.resize(static_cast<std::size_t>(bundle.shape.contexts),
                        padding_row(bundle, config));
  return batch;
}

std::vector<RowPiece> pieces_of(const std::vector<CompiledRow>& rows, const BundleShape& shape) {
  const auto n = std::ssize(rows), at_once = shape.rows_at_once == 0 ? n : shape.rows_at_once;
  std::vector<RowPiece> pieces;
  for (std::int64_t first = 0; first < n; first += at_once)
    pieces.push_back({first, {rows.begin() + first, rows.begin() + std::min(first + at_once, n)}});
  return pieces;
}

PreparedRows prepare_rows(const PreparedBundle& prepared, const std::vector<CompiledRow>& rows,
                          std::int64_t steps, bool measures) {
  const Transformer& model = prepared.model;
  const ContextState& contexts = prepared.contexts;
  PreparedRows result;
  result.cache = KvCache::allocate(model.config(), model.placement(), std::ssize(rows),
                                   contexts.columns + steps);
  if (measures) result.measured = measured_of_bases(contexts, rows);
  for (const RowPiece& piece : pieces_of(rows, prepared.bundle.shape)) {
    KvCache cache = result.cache.some_rows(piece.first, std::ssize(piece.rows));
    std::vector<RowProof> proofs;
    for (const CompiledRow& row : piece.rows) proofs.emplace_back(row.n_patches());
    std::vector<SiteCapture> measured = result.measured;
    for (SiteCapture& of_site : measured)
      of_site.values = of_site.values.narrow(0, piece.first, std::ssize(piece.rows));
    copy_base_cells(contexts, piece.rows, cache);
    // What the patch reaches up to b[n-1], which is the first fed token.
    run_patched_suffix(model, prepared.contexts, piece.rows, prepared.bundle.shape.patched_tokens,
                       cache, measured, proofs);
    patch_prompt_caches(model, contexts, piece.rows, cache, proofs);
    result.proofs.insert(result.proofs.end(), proofs.begin(), proofs.end());
  }
  return result;
}

}  // namespace rvsweep
