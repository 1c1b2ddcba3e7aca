#pragma once
// Shapes of published models, from their config.json.
#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

inline ModelConfig smollm2() {
  ModelConfig config;
  config.n_layers = 30;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.n_heads = 9;
  config.n_kv_heads = 3;
  config.head_dim = 64;
  config.vocab_size = 49152;
  config.tied_head = true;
  return config;
}

inline ModelConfig llama3_8b() {
  ModelConfig config;
  config.n_layers = 32;
  config.hidden_size = 4096;
  config.intermediate_size = 14336;
  config.n_heads = 32;
  config.n_kv_heads = 8;
  config.head_dim = 128;
  config.vocab_size = 128256;
  return config;
}

}  // namespace rvsweep
