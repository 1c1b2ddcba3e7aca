#include "rvsweep/plan/bundle_needs.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/plan/readout_layers.hpp"

namespace rvsweep {
namespace {

using Sites = std::set<std::pair<Site, std::int64_t>>;  // with their layers

double width_of(const Sites& sites, const ModelConfig& model) {
  std::int64_t width = 0;
  for (const auto& [site, layer] : sites) width += site_heads(site, model) * site_dim(site, model);
  return static_cast<double>(width);
}

}  // namespace

BundleNeeds bundle_needs(const ModelConfig& model, const SweepConfig& config,
                         const std::vector<Arm>& arms, std::int64_t tokens_after_window,
                         const std::string& device, const std::string& dtype) {
  BundleNeeds needs{.model = model,
                    .gpu = device == "cuda",
                    .element = static_cast<double>(dtype_bytes(dtype)),
                    .new_tokens = config.generation.max_new_tokens,
                    .samples = config.generation.temperature > 0,
                    .filters = config.generation.top_k > 0 || config.generation.top_p < 1,
                    .penalises = config.generation.repetition_penalty != 1,
                    .readouts = config.readouts,
                    .window = config.longest_window(),
                    .tokens_after_window = tokens_after_window,
                    .patched_tokens = longest_window(arms, config.window) + tokens_after_window,
                    .reach_beyond = reach_beyond_windows(arms, config.window)};
  Sites sites;
  std::map<std::int64_t, Sites> beginning_at;
  std::vector<std::set<std::size_t>> patched(static_cast<std::size_t>(model.n_layers));
  std::set<Direction> means;
  for (std::size_t a = 0; a < arms.size(); ++a) {
    Sites of_arm;
    std::int64_t first = model.n_layers;
    for (const Patch& patch : arms[a].patches) {
      if (patch.donor.derivation == Derivation::mean) means.insert(arms[a].direction);
      for (const std::int64_t layer : patch.layers) {
        if (const SiteTarget* site = patch.site()) {
          of_arm.emplace(site->site, layer);
          first = std::min(first, layer);
        } else {
          patched[static_cast<std::size_t>(layer)].insert(a);
        }
      }
      needs.patches_cache |= patch.cache() != nullptr;
      needs.compounds |= patch.cache() != nullptr && patch.cache()->growth == Growth::compound;
    }
    sites.insert(of_arm.begin(), of_arm.end());
    if (!of_arm.empty()) beginning_at[first].insert(of_arm.begin(), of_arm.end());
  }
  needs.site_width = width_of(sites, model);
  const LayerSet lens = logit_lens_layers(config.readouts, model.n_layers),
                 distant = state_distance_layers(config.readouts, model.n_layers);
  std::set<std::int64_t> streams(lens.begin(), lens.end());
  streams.insert(distant.begin(), distant.end());
  needs.streams = std::ssize(streams);
  needs.natural_layers = std::ssize(distant);
  Sites measured;
  for (const Site site : config.readouts.spectra_sites)
    for (std::int64_t layer = 0; layer < model.n_layers; ++layer) measured.emplace(site, layer);
  needs.measured_width = width_of(measured, model);
  for (const auto& [first, of_layer] : beginning_at)
    needs.suffix_width = std::max(needs.suffix_width, width_of(of_layer, model));
  needs.first_layers = std::ssize(beginning_at);
  needs.classes = std::ssize(std::set(patched.begin(), patched.end()));
  std::set<std::pair<std::set<std::size_t>, std::int64_t>> of_windows;
  for (std::int64_t layer = 0; layer < model.n_layers; ++layer)
    of_windows.emplace(patched[static_cast<std::size_t>(layer)], model.window(layer));
  needs.window_classes = std::ssize(of_windows);
  needs.mean_donors = std::ssize(means);
  return needs;
}

}  // namespace rvsweep
