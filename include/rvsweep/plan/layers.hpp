#pragma once
// How layers are written: 24, 16:32 (half-open), 75%, 50%:100%, 0:8+24:32 (jointly),
// width:4/stride:2, each (width:1/stride:1).
#include <cstdint>
#include <string>
#include <vector>

namespace rvsweep {

/// Layer indices, ascending, without repeats.
using LayerSet = std::vector<std::int64_t>;

/// One layer, absolute or as a share of depth: p % of L layers is layer floor(p L / 100).
/// Throws InputError (message only) when malformed or outside [0, n_layers).
std::int64_t parse_layer(const std::string& text, std::int64_t n_layers);

/// The layer sets a `layers=` value without commas stands for: one, or several for width:w/stride:s
/// (the bands [0,w), [s,s+w), ... that lie in the model). Throws InputError when malformed, empty
/// or outside the model.
std::vector<LayerSet> parse_layer_sets(const std::string& text, std::int64_t n_layers);

/// Canonical text: ranges joined by '+', "16:32" or "0:8+24:32"; a single layer as "24".
std::string format_layers(const LayerSet& layers);

}  // namespace rvsweep
