#pragma once
// Sizes of a small Llama; tests change those on which they depend.
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep::testing {

inline ModelConfig sample_model_config(std::int64_t n_layers = 4) {
  ModelConfig config;
  config.model_type = "llama";
  config.n_layers = n_layers;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 12;  // not hidden / heads
  config.vocab_size = 64;
  config.max_positions = 1024;
  return config;
}

}  // namespace rvsweep::testing
