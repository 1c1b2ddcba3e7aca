#include "experiment/reencode.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <span>

#include "rvsweep/experiment/geometry.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

/// A text tokenised anew: its first `shared` tokens are those of the row's prompt.
struct Reading {
  std::size_t row = 0;   // of the bundle
  std::size_t slot = 0;  // in its batch
  const BundleContext* prompt = nullptr;
  std::int64_t prompt_slot = 0;
  std::vector<std::int32_t> tokens;
  std::int64_t shared = 0;

  std::int64_t fed() const { return std::ssize(tokens) - shared; }
};

/// The cache of a batch up to `last_layer`: columns [T - shared, T) are copied from the prompts'
/// cells, the other tokens are fed from column T on, padded to `queries`.
KvCache read_texts(const Transformer& model, const ContextState& contexts,
                   std::span<const Reading> readings, std::int64_t queries,
                   std::int64_t last_layer) {
  const Placement& placement = model.placement();
  const auto T = contexts.columns;
  KvCache cache = KvCache::allocate(model.config(), placement, reading_rows, T + queries);
  at::Tensor tokens = at::zeros({reading_rows, queries}, at::kLong);
  at::Tensor positions = at::zeros({reading_rows, queries}, at::kLong);
  auto token = tokens.accessor<std::int64_t, 2>();
  auto position = positions.accessor<std::int64_t, 2>();
  std::vector<std::int64_t> seen(reading_rows, queries);
  for (const Reading& reading : readings) {
    const auto r = static_cast<std::int64_t>(reading.slot), shared = reading.shared;
    const KvCache prompt =
        contexts.last_cells(reading.prompt_slot, std::ssize(reading.prompt->tokens));
    const KvCache to = cache.some_rows(r, 1).some_columns(T - shared, shared);
    to.k.copy_(prompt.k.narrow(3, 0, shared));
    to.v.copy_(prompt.v.narrow(3, 0, shared));
    for (std::int64_t i = 0; i < queries; ++i) {
      if (i < reading.fed()) token[r][i] = reading.tokens[static_cast<std::size_t>(shared + i)];
      position[r][i] = shared + i;
    }
    seen[reading.slot] = shared + queries;
  }
  const LayerVisibility visible = causal_visibility(model.config().n_layers, seen, T + queries);
  ForwardInput input;
  input.tokens = tokens.to(placement.device);
  input.positions = positions.to(placement.device);
  input.column = T;
  input.seen = &visible;
  input.last_kv_layer = last_layer;
  model.forward(input, cache);
  return cache;
}

/// The texts to read, by batch: the tokens that it is fed, with padding, and its number in the
/// bundle. A row's R_V may not depend on how long its companions' texts are, so every batch has a
/// size fixed by the sweep's settings and a row keeps its slot in it: its number modulo
/// reading_rows. A text that needs more tokens goes into a longer batch, in the same slot.
using Readings = std::map<std::pair<std::int64_t, std::size_t>, std::vector<Reading>>;

Readings readings_of(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                     const DecodedBatch& batch) {
  const SweepSettings& settings = prepared.settings;
  const Bundle& bundle = prepared.bundle;
  // The blank between prompt and text may be a token of its own.
  const std::int64_t usual =
      canonical_length(std::min(settings.generation.max_new_tokens + 1, notebook_truncation));
  Readings readings;
  for (std::size_t r = 0; r < batch.rows.size(); ++r) {
    if (!batch.rows[r].failure.empty()) continue;
    Reading reading;
    reading.row = r;
    reading.slot = r % reading_rows;
    reading.prompt_slot = bundle.rows[r].base;
    reading.prompt = &bundle.contexts[static_cast<std::size_t>(reading.prompt_slot)];
    reading.tokens =
        tokenizer.encode(reading.prompt->text + " " + tokenizer.decode(batch.rows[r].tokens));
    if (reading.tokens.size() > notebook_truncation) reading.tokens.resize(notebook_truncation);
    const auto length = std::ssize(reading.tokens);
    if (length < settings.window || length > prepared.model.config().max_positions) continue;
    const auto& prompt = reading.prompt->tokens;
    reading.shared =
        std::mismatch(prompt.begin(), prompt.end(), reading.tokens.begin(), reading.tokens.end())
            .first -
        prompt.begin();
    readings[{std::max(usual, canonical_length(reading.fed())), r / reading_rows}].push_back(
        std::move(reading));
  }
  return readings;
}

}  // namespace

void fill_reencoded(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                    const DecodedBatch& batch, ItemTable& table) {
  auto* r_v = find_column(table, columns::r_v_reencoded);
  if (r_v == nullptr) return;
  const SweepSettings& settings = prepared.settings;
  const ContextState& contexts = prepared.contexts;
  const auto W = settings.window;
  const auto is_read = [&](std::size_t, std::int64_t layer) {
    return layer == settings.early_layer || layer == settings.late_layer;
  };
  for (const auto& [key, readings] : readings_of(tokenizer, prepared, batch)) {
    const KvCache cache = read_texts(prepared.model, contexts, readings, key.first,
                                     std::max(settings.early_layer, settings.late_layer));
    std::vector<VWindow> windows;
    for (const Reading& reading : readings)
      windows.push_back(
          {static_cast<std::int64_t>(reading.slot), contexts.columns + reading.fed()});
    const auto spectra = window_geometry(cache, windows, W, is_read).spectra;
    for (std::size_t i = 0; i < readings.size(); ++i)
      (*r_v)[readings[i].row] =
          r_v_of(&spectra[i * cache.v.size(0) * W], W, settings.early_layer, settings.late_layer);
  }
}

}  // namespace rvsweep
