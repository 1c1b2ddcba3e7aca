#pragma once
// What decides the memory and the time of a sweep's bundles beside their shapes.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/sweep_config.hpp"

namespace rvsweep {

struct BundleNeeds {
  ModelConfig model;
  bool gpu = false;
  double element = 4;                     // bytes
  std::int64_t new_tokens = 0;            // N
  bool samples = false, filters = false;  // temperature > 0; by top_k or top_p
  bool penalises = false;                 // tokens that have occurred
  ReadoutsConfig readouts;
  std::int64_t window = 0;               // W, tokens; the longest
  std::int64_t tokens_after_window = 0;  // the most of any prompt
  std::int64_t patched_tokens = 0;  // last tokens of a prompt that windows of site patches reach
  bool reach_beyond = false;        // site patches may write tokens before those
  double site_width = 0;            // elements a token of all (site, layer) that some arm patches
  double suffix_width = 0;    // of those that arms whose patches begin at one layer patch, at most
  double measured_width = 0;  // of readouts.spectra_sites in all layers
  std::int64_t streams = 0;   // layers after which read-outs take the residual stream
  std::int64_t natural_layers = 0;  // of them, those whose states of other prompts are kept
  std::int64_t first_layers = 0;    // at which the site patches of some arm begin
  // Of layers that rows see differently, at most, and where some see a sliding window alone:
  std::int64_t classes = 1, window_classes = 1;
  bool patches_cache = false, compounds = false;
  std::int64_t mean_donors = 0;  // directions in which the mean control averages
};

/// Of a resolved device and dtype. `tokens_after_window`: the most of any prompt.
BundleNeeds bundle_needs(const ModelConfig& model, const SweepConfig& config,
                         const std::vector<Arm>& arms, std::int64_t tokens_after_window,
                         const std::string& device, const std::string& dtype);

}  // namespace rvsweep
