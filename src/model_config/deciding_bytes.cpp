#include "rvsweep/model_config/deciding_bytes.hpp"

#include "rvsweep/core/wire.hpp"

namespace rvsweep {

std::string deciding_bytes(const ModelConfig& config) {
  // A new member does not compile before it is named here.
  const auto& [model_type, n_layers, hidden, intermediate, n_heads, n_kv_heads, head_dim, vocab,
               max_positions, window, eps, initializer_range, rope, tied_head, qkv_bias, o_bias,
               head_norms, eos_ids, eos_token, notes] = config;
  const auto& [type, theta, factor, low, high, original] = rope;
  Bytes bytes;
  const auto put_all = [&](const auto&... member) { (wire::put(bytes, member), ...); };
  put_all(model_type, n_layers, hidden, intermediate, n_heads, n_kv_heads, head_dim, vocab,
          max_positions, window, eps, initializer_range, type, theta, factor, low, high, original,
          tied_head, qkv_bias, o_bias, head_norms, eos_ids, eos_token);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace rvsweep
