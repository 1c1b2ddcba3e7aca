#pragma once
// Layers of the read-outs that name them: LAYERS as arms have them, true for all, none or false.
#include "rvsweep/plan/layers.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

/// Ascending; none where the read-out is off. Throw InputError naming the key and its place.
LayerSet logit_lens_layers(const ReadoutsConfig& readouts, std::int64_t n_layers);
LayerSet attention_layers(const ReadoutsConfig& readouts, std::int64_t n_layers);
LayerSet state_distance_layers(const ReadoutsConfig& readouts, std::int64_t n_layers);

}  // namespace rvsweep
