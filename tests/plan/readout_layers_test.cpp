#include "rvsweep/plan/readout_layers.hpp"

#include <gtest/gtest.h>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

TEST(ReadoutLayers, AreThoseNamedAllOrNone) {
  ReadoutsConfig readouts;
  for (const auto layers : {logit_lens_layers, attention_layers, state_distance_layers})
    EXPECT_EQ(layers(readouts, 8), LayerSet());
  readouts.attention = {"2,50%:100%", "test"};
  EXPECT_EQ(attention_layers(readouts, 8), (LayerSet{2, 4, 5, 6, 7}));
  readouts.logit_lens = {"true", "test"};
  EXPECT_EQ(logit_lens_layers(readouts, 3), (LayerSet{0, 1, 2}));
  readouts.state_distance = {"false", "test"};
  EXPECT_EQ(state_distance_layers(readouts, 3), LayerSet());
  readouts.state_distance = {"9", "a.cfg:3"};
  EXPECT_TRUE(says(refusal_message([&] { state_distance_layers(readouts, 8); }),
                   {"a.cfg:3", "readouts.state_distance", "9"}));
}

}  // namespace
}  // namespace rvsweep
