#pragma once
// The notebook's measure_rv_on_text (section "Experiment A", used by C): R_V of a text read again.
#include <string>
#include <vector>

#include "rvsweep/experiment/bundle_runner.hpp"

namespace rvsweep {

/// R_V of (row's prompt + " " + text), tokenised anew, cut at 512 tokens and read by the unpatched
/// model. `contexts` holds the cells of the bundle's prompts, right-aligned. NaN where the result
/// is shorter than the window or the row failed. One number per row.
std::vector<double> reencoded_r_v(const BundleRunner& runner, const Bundle& bundle,
                                  const KvCache& contexts, const std::vector<std::string>& texts,
                                  const DecodedBatch& batch);

}  // namespace rvsweep
