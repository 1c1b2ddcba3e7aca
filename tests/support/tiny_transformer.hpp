#pragma once
// A random Llama of a few thousand parameters, made in memory.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "rvsweep/model/transformer.hpp"
#include "support/sample_model_config.hpp"

namespace rvsweep::testing {

inline ModelConfig tiny_config() {
  ModelConfig config = sample_model_config();
  config.qkv_bias = true;
  return config;
}

inline Transformer tiny_transformer(std::uint64_t seed = 7, const ModelConfig& c = tiny_config(),
                                    const Placement& placement = {}) {
  at::manual_seed(seed);
  const auto placed = [&](const at::Tensor& x) { return x.to(placement.device, placement.dtype); };
  const auto random = [&](std::vector<std::int64_t> shape) {
    return placed(at::randn(shape) * 0.3);
  };
  Weights w;
  w.embedding = random({c.vocab_size, c.hidden_size});
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    LayerWeights l;
    for (Norm* norm : {&l.input_norm, &l.mlp_norm})
      *norm = {c.norm, c.norm_eps, placed(at::ones({c.hidden_size})) + random({c.hidden_size})};
    const auto qkv_dim = c.n_heads * c.head_dim + 2 * c.kv_dim();
    const at::Tensor qkv = random({qkv_dim, c.hidden_size});
    l.qkv = matrix_of_rows(qkv, random({qkv_dim}));
    l.o = matrix_of_rows(random({c.hidden_size, c.n_heads * c.head_dim}));
    l.gate_up = matrix_of_rows(random({2 * c.intermediate_size, c.hidden_size}));
    l.down = matrix_of_rows(random({c.hidden_size, c.intermediate_size}));
    w.layers.push_back(l);
  }
  w.norm = {c.norm, c.norm_eps, placed(at::ones({c.hidden_size}))};
  w.head = matrix_of_rows(random({c.vocab_size, c.hidden_size}));
  return Transformer(c, w, placement);
}

/// n tokens that differ with `salt`.
inline std::vector<std::int32_t> some_tokens(std::int64_t n, std::int32_t salt) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < n; ++i)
    tokens.push_back(static_cast<std::int32_t>((i * 13 + i * i * 5 + salt * 17 + 3) % 61));
  return tokens;
}

}  // namespace rvsweep::testing
