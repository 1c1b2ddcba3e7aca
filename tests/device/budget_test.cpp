// How often the host waits for the device.
#include <gtest/gtest.h>

#include <cstdio>

#include "experiment/study.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

using testing::device_counts;
using testing::DeviceCounts;
using testing::Study;
using testing::test_device;

/// The arms of tests/perf/bench.py on a model of 32 layers.
Study usual_study(std::int64_t steps) {
  ModelConfig config = testing::tiny_config();
  config.n_layers = 32;
  Study study({});
  study.settings.arms = parse_arms(
      {{"base", ""}, {"source", ""}, {"v_proj layers=24", ""}, {"kv_cache layers=16:32", ""}},
      config, 4);
  for (std::int32_t arm = 0; arm < 4; ++arm) study.add_row(arm, 0, 1);
  study.model = testing::tiny_transformer(7, config, {test_device()});
  study.config.generation.max_new_tokens = study.settings.generation.max_new_tokens = steps;
  study.config.generation.temperature = study.settings.generation.temperature = 0;
  study.config.readouts = study.settings.readouts = {};
  study.settings.logit_lens_layers = {};
  return study;
}

template <class Work>
DeviceCounts counts_of(const Work& work) {
  const DeviceCounts before = device_counts();
  work();
  return device_counts() - before;
}

/// Waits of the host and copies between host and device, at most.
struct Budget {
  std::int64_t waits, to_device, to_host;
};

void expect_within(const Budget& budget, const DeviceCounts& counts, const char* what) {
  std::printf("%s: %ld waits of at most %ld, %ld copies to the device of %ld, %ld to the host of ",
              what, counts.synchronisations, budget.waits, counts.to_device, budget.to_device,
              counts.to_host);
  std::printf("%ld; %ld operators\n", budget.to_host, counts.operators);
  EXPECT_LE(counts.synchronisations, budget.waits) << what;
  EXPECT_LE(counts.to_device, budget.to_device) << what;
  EXPECT_LE(counts.to_host, budget.to_host) << what;
}

TEST(Budget, OfADecodingStep) {
  DeviceCounts counts[2];
  for (const int more : {0, 1}) {
    const Study study = usual_study(31 + more);
    const PreparedBundle prepared = study.prepare();
    counts[more] = counts_of([&] { study.decode(prepared); });
  }
  // What each of the two classes of layers sees; the tokens.
  expect_within({.waits = 3, .to_device = 2, .to_host = 1}, counts[1] - counts[0],
                "a decoding step");
}

TEST(Budget, OfABundle) {
  Study study = usual_study(32);
  // Of the waits 32 + 64 are those of steps, 3 * 32 those of spectra, one of every layer and kind.
  expect_within({.waits = 250, .to_device = 115, .to_host = 140}, counts_of([&] { study.run(); }),
                "a bundle of 32 layers and 32 tokens");
  ReadoutsConfig& readouts = study.settings.readouts;
  readouts.forced = readouts.reencode = readouts.step_trace = true;
  readouts.logit_lens = {"0:100%", "test"};
  study.config.readouts = readouts;
  study.settings.logit_lens_layers = {0, 1, 2, 3};
  expect_within({.waits = 600, .to_device = 260, .to_host = 345}, counts_of([&] { study.run(); }),
                "the same with every read-out");
}

}  // namespace
}  // namespace rvsweep
