#include "model_config/families.hpp"

#include <algorithm>
#include <vector>

namespace rvsweep {

// Values are those of transformers' configuration and modelling files.
std::span<const Family> all_families() {
  static const std::vector<Family> families{
      {.model_type = "llama",
       .name = "Llama",
       .qkv_bias = Bias::by_attention_bias,
       .o_bias = Bias::by_attention_bias},
      {.model_type = "mistral", .name = "Mistral", .window = Window::all_layers, .n_kv_heads = 8},
      {.model_type = "qwen2",
       .name = "Qwen2",
       .qkv_bias = Bias::always,
       .window = Window::by_layer,
       .n_kv_heads = 32},
      {.model_type = "qwen3",
       .name = "Qwen3",
       .qkv_bias = Bias::by_attention_bias,
       .o_bias = Bias::by_attention_bias,
       .window = Window::by_layer,
       .head_norms = true,
       .n_kv_heads = 32,
       .head_dim = 128},
  };
  return families;
}

const Family* find_family(const std::string& model_type) {
  const auto found = std::ranges::find(all_families(), model_type, &Family::model_type);
  return found == all_families().end() ? nullptr : &*found;
}

std::string supported_families() {
  std::string names = all_families().front().name;
  for (const Family& family : all_families().subspan(1))
    names += (&family == &all_families().back() ? " and " : ", ") + family.name;
  return "rvsweep runs dense " + names + " models";
}

}  // namespace rvsweep
