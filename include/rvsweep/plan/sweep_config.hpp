#pragma once
// The validated configuration of a sweep: typed, immutable, independent of the model's shape.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/model_config/site.hpp"
#include "rvsweep/plan/config_file.hpp"
#include "rvsweep/text/pairing.hpp"

namespace rvsweep {

struct GenerationConfig {
  std::int64_t max_new_tokens = 50;  // >= 0; 0 = prompts only
  double temperature = 0.7;          // >= 0; 0 = greedy
  std::int64_t top_k = 0;            // 0 = off
  double top_p = 1.0;                // (0, 1]; 1 = off
  double repetition_penalty = 1.0;   // > 0; 1 = off
  std::int32_t samples = 1;          // >= 1
  bool stop_at_eos = true;
};

/// What is computed beside tokens and text; a read-out that is off has no dataset.
struct ReadoutsConfig {
  bool spectra_prompt = true;
  bool spectra_generated = true;
  bool keywords = true;
  bool first_token = true;  // logits that the first token is drawn from
  bool reencode = false;
  std::vector<Site> spectra_sites = {};  // beside V
  bool prompt_logprob = false;           // of every token of the prompts
  bool copying = false;                  // and repetition
  std::string families = "builtin";      // or the path of a file, see text/regex_families.hpp
  bool forced = false;                   // logits along the prompts' greedy continuations
  bool step_trace = false;               // PR of the sliding window, step by step
  bool malformed = false;                // texts whose bytes are no UTF-8
  ConfigValue logit_lens = {"none", "default"};      // layers whose residual stream is unembedded
  ConfigValue attention = {"none", "default"};       // layers whose attention is measured
  ConfigValue state_distance = {"none", "default"};  // layers, from states of unpatched prompts
};

/// What was decided before the run, for the report.
struct StudyConfig {
  std::string title, question;      // empty where not set
  ConfigValue primary;              // the read-out that answers the question; empty text: none
  std::string margin_unit = "d_z";  // of what counts as negligible: SDs of the differences, or gap
  double margin = 0.2;              // > 0
};

/// Which token ends the window of a prompt.
enum class WindowEnd { last_token, user_end };

struct SweepConfig {
  std::filesystem::path model_path;
  std::optional<std::uint64_t> random_weights;  // seed of weights that are drawn, not read
  ConfigValue early_layer, late_layer;          // a layer or a share of depth, see plan/layers.hpp
  std::int64_t window = 16;                     // W >= 2, tokens
  std::vector<std::int64_t> windows;            // W first; empty: no more are asked for
  WindowEnd window_end = WindowEnd::last_token;
  std::filesystem::path prompts_file;
  Pairing pairing;
  std::string chat_template = "none";  // see load_chat_template
  GenerationConfig generation;
  std::string device;          // auto | cpu | cuda
  std::string dtype;           // auto | float32 | bfloat16 | float16
  std::optional<int> threads;  // per rank; none = auto
  double device_memory = 0;    // bytes of a GPU that bundles may fill; 0 = auto
  ReadoutsConfig readouts;
  StudyConfig study;
  std::uint64_t seed = 1;
  std::optional<std::int64_t> bundle_rows;  // 8..1024; none = auto
  std::vector<ConfigValue> arms, controls;
  std::string filler, token_sets;  // builtin, or a file
  ConfigLines lines;               // all of it, as texts

  std::int64_t longest_window() const {
    return windows.empty() ? window : std::ranges::max(windows);
  }
};

/// Types and ranges checked; throws InputError naming file, line and key.
SweepConfig parse_sweep_config(const ConfigValues& values);

}  // namespace rvsweep
