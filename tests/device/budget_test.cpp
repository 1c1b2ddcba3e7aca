// How often the host waits for the device.
#include <c10/core/DeviceGuard.h>
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

/// The arms of the README's measurements on a model of 32 layers.
Study usual_study(std::int64_t steps) {
  use_threads(1);
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

void print(const char* what, const DeviceCounts& counts) {
  std::printf("%s: %lld operators, %lld copies to the device, %lld to the host, %lld waits\n", what,
              static_cast<long long>(counts.operators), static_cast<long long>(counts.to_device),
              static_cast<long long>(counts.to_host),
              static_cast<long long>(counts.synchronisations));
}

TEST(Budget, OfADecodeStep) {
  DeviceCounts counts[2];
  for (const int more : {0, 1}) {
    const Study study = usual_study(31 + more);
    const PreparedBundle prepared = study.prepare();
    counts[more] = counts_of([&] { study.decode(prepared); });
  }
  print("a decode step", counts[1] - counts[0]);
}

TEST(Budget, OfABundle) {
  Study study = usual_study(32);
  print("a bundle", counts_of([&] { study.run(); }));
  study.config.readouts.forced = study.config.readouts.reencode = true;
  study.config.readouts.step_trace = true;
  study.settings.readouts = study.config.readouts;
  study.config.readouts.logit_lens = {"0:100%", "test"};
  study.settings.logit_lens_layers = {0, 1, 2, 3};
  print("everything", counts_of([&] { study.run(); }));
}

}  // namespace
}  // namespace rvsweep
