#include "rvsweep/plan/readout_layers.hpp"

#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

LayerSet layers_of(const char* key, const ConfigValue& value, std::int64_t n_layers) {
  if (value.text == "none" || value.text == "false") return {};
  try {
    std::set<std::int64_t> layers;
    for (const std::string& part : split(value.text == "true" ? "each" : value.text, ','))
      for (const LayerSet& set : parse_layer_sets(part, n_layers))
        layers.insert(set.begin(), set.end());
    return {layers.begin(), layers.end()};
  } catch (const InputError& error) {
    throw InputError(value.where, std::string(key) + ": " + error.what());
  }
}

}  // namespace

LayerSet logit_lens_layers(const ReadoutsConfig& readouts, std::int64_t n_layers) {
  return layers_of("readouts.logit_lens", readouts.logit_lens, n_layers);
}

LayerSet attention_layers(const ReadoutsConfig& readouts, std::int64_t n_layers) {
  return layers_of("readouts.attention", readouts.attention, n_layers);
}

LayerSet state_distance_layers(const ReadoutsConfig& readouts, std::int64_t n_layers) {
  return layers_of("readouts.state_distance", readouts.state_distance, n_layers);
}

}  // namespace rvsweep
