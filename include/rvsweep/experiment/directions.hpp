#pragma once
// The vectors of the directions that a sweep's arms name.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/intervention/contexts.hpp"
#include "rvsweep/model/transformer.hpp"
#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// What files hold, [n_layers, dim] row-major, by site and name.
using DirectionFiles = std::map<std::pair<Site, std::string>, std::vector<float>>;

/// Of every patch of `arms` that names one. A mean difference is taken where the pass over a prompt
/// gives the site's values at the prompt's last token, in float64. Throws DeviceError.
Directions directions_of(const Transformer& model, const std::vector<Arm>& arms, std::uint64_t seed,
                         const DirectionFiles& files,
                         const std::map<std::string, MeanPrompts>& fitted_on);

}  // namespace rvsweep
