#include "rvsweep/model_config/deciding_bytes.hpp"

#include <algorithm>

#include "rvsweep/core/wire.hpp"

namespace rvsweep {

std::string deciding_bytes(const ModelConfig& config) {
  // A new member does not compile before it is named here.
  const auto& [model_type, n_layers, hidden, intermediate, n_heads, n_kv_heads, head_dim, vocab,
               max_positions, window, norm, eps, norms_before, norms_after, qk_norm,
               initializer_range, rope, local_rope, local_layers, learned_positions, tied_head,
               naming, fused, qkv_bias, o_bias, mlp_bias, gated_mlp, activation, parallel_residual,
               embedding_scale, query_scalar, attention_soft_cap, logit_soft_cap,
               repetition_penalty, eos_ids, eos_token, description, notes] = config;
  Bytes bytes;
  const auto put_all = [&](const auto&... member) { (wire::put(bytes, member), ...); };
  const auto put_rope = [&](const RopeConfig& one) {
    const auto& [type, theta, factor, low, high, original, beta_fast, beta_slow, truncate, divisors,
                 scale, share, in_float32] = one;
    put_all(type, theta, factor, low, high, original, beta_fast, beta_slow, truncate, divisors,
            scale, share, in_float32);
  };
  // Of repetition_penalty a note alone is made.
  put_all(model_type, n_layers, hidden, intermediate, n_heads, n_kv_heads, head_dim, vocab,
          max_positions, window, norm, eps, norms_before, norms_after, qk_norm, initializer_range,
          local_rope.has_value(), learned_positions, tied_head, naming, fused, qkv_bias, o_bias,
          mlp_bias, gated_mlp, activation, parallel_residual, embedding_scale, query_scalar,
          attention_soft_cap, logit_soft_cap, eos_ids, eos_token);
  put_rope(rope);
  if (local_rope) put_rope(*local_rope);
  // Where all are alike, the window tells.
  if (std::ranges::count(local_layers, true) < std::ssize(local_layers))
    for (const bool is_local : local_layers) put_all(is_local);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace rvsweep
