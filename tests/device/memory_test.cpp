// The formula of plan/memory_budget beside what a device's tensors really took.
#include <c10/core/DeviceGuard.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "experiment/study.hpp"
#include "rvsweep/experiment/mean_donors.hpp"
#include "rvsweep/plan/memory_budget.hpp"
#include "rvsweep/plan/readout_layers.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

using testing::some_tokens;
using testing::Study;
using testing::test_device;

/// Tensors large enough that scalars and indices do not count.
ModelConfig model(std::int64_t n_layers, std::int64_t vocabulary = 128) {
  ModelConfig config = testing::tiny_config();
  config.n_layers = n_layers;
  config.hidden_size = 64;
  config.intermediate_size = 512;
  config.n_heads = 4;
  config.head_dim = 16;
  config.vocab_size = vocabulary;
  return config;
}

/// Every other layer has a sliding window.
ModelConfig windowed_model() {
  ModelConfig config = model(4);
  config.sliding_window = 24;
  config.local_layers = {true, false, true, false};
  return config;
}

/// A bundle whose rows repeat `arms`; the phase that is to need most of its memory.
struct Case {
  std::string phase;
  ModelConfig config;
  std::vector<std::string> arms;
  BundleShape shape;
  std::int64_t new_tokens;
  ReadoutsConfig readouts = {};
  GenerationConfig generation = {};
};

std::vector<Case> cases() {
  const ReadoutsConfig forced{.forced = true}, trace{.step_trace = true}, again{.reencode = true},
      logprob{.prompt_logprob = true}, sites{.spectra_sites = {Site::resid_pre, Site::k}},
      attention{.attention = {"0:100%", "test"}}, lens{.logit_lens = {"each", "test"}};
  const std::vector<std::string> mixed{"base", "source", "v_proj layers=1 decode=persist",
                                       "kv_cache layers=1:2"},
      site{"v_proj layers=1"}, anywhere{"v_proj layers=1 positions=all"},
      cache{"kv_cache layers=0:1"}, compound{"kv_cache layers=1:3 growth=compound"};
  return {{"prefill", model(2), mixed, {24, 96, 1}, 4},
          {"prefill", model(2), mixed, {48, 96, 8, 8, 8}, 4},
          {"prefill", model(2), mixed, {48, 96, 8, 8, 8}, 4, logprob},
          {"prompt_logprob", model(2, 8192), mixed, {16, 96, 1, 8, 8}, 4, logprob},
          {"patches", model(4), site, {8, 96, 48}, 8},
          {"patches", model(4), anywhere, {8, 96, 48}, 8},
          {"patches", model(1), cache, {8, 96, 48}, 8},
          {"patches", model(4), site, {8, 32, 48}, 8, sites},
          {"patches", windowed_model(), anywhere, {8, 96, 48}, 8},
          {"decoding", model(4), mixed, {8, 256, 192, 8, 8}, 4, attention},
          {"decoding", model(4, 512), mixed, {8, 32, 192, 8, 8}, 2, lens},
          {"decoding", model(4, 4096), mixed, {8, 64, 32, 8, 8}, 16},
          {"decoding", model(4, 4096), mixed, {8, 64, 32, 8, 8}, 16, {}, {.top_p = 0.9}},
          {"decoding", model(4, 4096), mixed, {64, 64, 32, 8, 8}, 16, {}, {.temperature = 0}},
          {"decoding", model(4, 4096), mixed, {8, 64, 32, 8, 8}, 16, {}, {.repetition_penalty = 2}},
          {"decoding",
           model(4, 4096),
           mixed,
           {64, 64, 32, 8, 8},
           16,
           {},
           {.temperature = 0, .repetition_penalty = 2}},
          {"decoding", model(4, 4096), compound, {8, 64, 64, 8, 8}, 16},
          {"forced", model(6), compound, {8, 64, 32}, 32, forced},
          {"step trace", model(2), mixed, {8, 32, 32, 8, 8}, 96, trace},
          {"forced", model(6), mixed, {8, 64, 32}, 32, forced},
          {"forced", model(6), mixed, {32, 64, 32, 8, 8}, 64, forced},
          {"forced", model(2, 4096), mixed, {8, 64, 32, 8, 8}, 16, forced},
          {"reencode", model(4), mixed, {8, 32, 1}, 128, again}};
}

Study study_of(const Case& of, const Placement& placement) {
  Study study({});
  study.model = testing::tiny_transformer(7, of.config, placement);
  SweepConfig& config = study.config;
  config.generation = of.generation;
  config.generation.max_new_tokens = of.new_tokens;
  config.readouts = of.readouts;
  study.settings.logit_lens_layers = logit_lens_layers(of.readouts, of.config.n_layers);
  study.settings.attention_layers = attention_layers(of.readouts, of.config.n_layers);
  study.settings.generation = config.generation;
  study.settings.readouts = config.readouts;
  std::vector<ConfigValue> lines;
  for (const auto& arm : of.arms) lines.push_back({arm, "test"});
  study.settings.arms = parse_arms(lines, of.config, study.settings.window);
  study.settings.early_layer = 0;
  study.settings.late_layer = of.config.n_layers - 1;
  study.bundle.shape = of.shape;
  study.bundle.contexts.clear();
  for (std::int32_t c = 0; c < of.shape.contexts; ++c)
    study.bundle.contexts.push_back(
        {PromptIndex(c), some_tokens(of.shape.prompt_length - c % 8, c), "text", true});
  const auto n_arms = static_cast<std::int32_t>(std::ssize(of.arms));
  for (std::int32_t r = 0; r < of.shape.rows; ++r) {
    const auto base = static_cast<std::int32_t>(2 * r % of.shape.contexts);
    study.add_row(r % n_arms, base, base + 1);
    study.bundle.rows.back().pair_hash = static_cast<std::uint64_t>(r);
  }
  return study;
}

double measured(const Study& study) {
  testing::reset_peak(test_device());
  const auto before = testing::peak_bytes(test_device());
  BundleResult result = study.run();
  EXPECT_EQ(column(result.rows, columns::reason)[0], "");
  return static_cast<double>(testing::peak_bytes(test_device()) - before);
}

void expect_a_tenth(const std::string& dtype) {
  for (const Case& of : cases()) {
    const Placement placement{test_device(), dtype == "float32" ? at::kFloat : at::kBFloat16};
    const c10::DeviceGuard guard(placement.device);
    const Study study = study_of(of, placement);
    const BundleNeeds needs =
        bundle_needs(of.config, study.config, study.settings.arms, 0, "cuda", dtype);
    const BundleMemory formula = bundle_memory(needs, of.shape, 0);
    const double ratio = formula.total() / measured(study);
    std::printf("%-10s %-10s contexts %7.0f rows %7.0f temporaries %7.0f kB, of measured %.3f\n",
                of.phase.c_str(), formula.phase.c_str(), formula.contexts / 1e3, formula.rows / 1e3,
                formula.temporaries / 1e3, ratio);
    EXPECT_EQ(formula.phase, of.phase);
    EXPECT_NEAR(ratio, 1, 0.1);
  }
}

TEST(BundleMemory, IsWhatItsTensorsTakeToATenth) { expect_a_tenth("float32"); }

TEST(BundleMemory, IsSoIn16Bits) { expect_a_tenth("bfloat16"); }

}  // namespace
}  // namespace rvsweep
