#pragma once
// Arms as a config writes them: one `arm =` line stands for one or several.
#include <vector>

#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/config_file.hpp"

namespace rvsweep {

/// The arms of `lines`, in order; `,` in a value stands for one arm each. Throws InputError naming
/// file, line and setting: unknown arm or setting (with the nearest known one), a setting that
/// means nothing for its arm, layers or heads outside the model, two equal arms or labels.
/// `window`: tokens that patches of a site write.
std::vector<Arm> parse_arms(const std::vector<ConfigValue>& lines, const ModelConfig& model,
                            std::int64_t window);

}  // namespace rvsweep
