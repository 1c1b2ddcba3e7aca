#include "rvsweep/model_config/deciding_bytes.hpp"

#include <gtest/gtest.h>

#include "support/sample_model_config.hpp"

namespace rvsweep {
namespace {

TEST(DecidingBytes, ChangeWithWhatDecidesResultsAlone) {
  const ModelConfig sample = testing::sample_model_config(2);
  const auto with = [&](auto change) {
    ModelConfig config = sample;
    change(config);
    return deciding_bytes(config);
  };
  const std::string bytes = deciding_bytes(sample);
  EXPECT_EQ(with([](ModelConfig& c) { c.notes.push_back("n"); }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.rope.theta += 1; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.rope.type = RopeType::linear; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.eos_token_ids.push_back(5); }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.sliding_window = 7; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.tied_head = !c.tied_head; }), bytes);
  EXPECT_EQ(with([](ModelConfig& c) { c.repetition_penalty = 1.1; }), bytes);
  EXPECT_EQ(with([](ModelConfig& c) { c.description = "d"; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.rope.divisors = {2, 3}; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) { c.local_rope = c.rope; }), bytes);
  EXPECT_NE(with([](ModelConfig& c) {
              c.local_layers = {false, true};
            }),
            with([](ModelConfig& c) {
              c.local_layers = {true, false};
            }));
  EXPECT_NE(with([](ModelConfig& c) { c.naming = Naming::gpt2; }), bytes);
}

}  // namespace
}  // namespace rvsweep
