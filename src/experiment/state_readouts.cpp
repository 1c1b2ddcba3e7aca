#include "experiment/state_readouts.hpp"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <set>

#include "rvsweep/plan/result_schema.hpp"

namespace rvsweep {
namespace {

/// [rows and padding, hidden], after a layer of residual_layers.
at::Tensor stream_after(const DecodedBatch& batch, std::int64_t layer) {
  return std::ranges::find(batch.residuals, layer, &SiteCapture::layer)->values.flatten(1);
}

}  // namespace

std::vector<std::int64_t> residual_layers(const SweepSettings& settings) {
  std::set<std::int64_t> layers(settings.logit_lens_layers.begin(),
                                settings.logit_lens_layers.end());
  layers.insert(settings.state_distance_layers.begin(), settings.state_distance_layers.end());
  return {layers.begin(), layers.end()};
}

void fill_logit_lens(const PreparedBundle& prepared, const DecodedBatch& batch, ItemTable& table) {
  auto* tokens = find_column(table, columns::logit_lens_token);
  if (tokens == nullptr) return;
  auto& log_probabilities = column(table, columns::logit_lens_logprob);
  const auto& layers = prepared.settings.logit_lens_layers;
  const auto n_layers = std::ssize(layers), k = logit_lens_top;
  for (std::int64_t i = 0; i < n_layers; ++i) {
    const at::Tensor residual = stream_after(batch, layers[i]);
    const auto [values, indices] =
        prepared.model.unembed(residual).to(at::kFloat).log_softmax(-1).topk(k, -1);  // [R, k]
    const at::Tensor value = values.to(at::kCPU).contiguous();
    const at::Tensor index = indices.to(at::kCPU).contiguous();
    for (std::int64_t r = 0; r < std::ssize(batch.rows); ++r) {
      if (!batch.rows[r].failure.empty()) continue;
      for (std::int64_t j = 0; j < k; ++j) {
        const auto at = (r * n_layers + i) * k + j;
        (*tokens)[at] = static_cast<std::int32_t>(index.const_data_ptr<std::int64_t>()[r * k + j]);
        log_probabilities[at] = value.const_data_ptr<float>()[r * k + j];
      }
    }
  }
}

void fill_state_distance(const NaturalStates& natural, const PreparedBundle& prepared,
                         const DecodedBatch& batch, ItemTable& table) {
  auto* stored = find_column(table, columns::state_distance);  // [rows, L]
  if (stored == nullptr) return;
  const auto& bundle = prepared.bundle;
  const auto R = std::ssize(bundle.rows), L = prepared.model.config().n_layers;
  std::vector<std::int64_t> own;
  for (const BundleRow& row : bundle.rows)
    own.push_back(place_of_prompt(natural, bundle.contexts[row.base].tokens));
  for (std::int64_t i = 0; i < std::ssize(natural.layers); ++i) {
    const std::int64_t layer = natural.layers[i];
    const at::Tensor states = stream_after(batch, layer).narrow(0, 0, R);
    const at::Tensor found = distance_from(natural, i, states, own).to(at::kCPU);
    for (std::int64_t r = 0; r < R; ++r)
      if (batch.rows[r].failure.empty())
        (*stored)[r * L + layer] = found.const_data_ptr<float>()[r];
  }
}

}  // namespace rvsweep
