#include "model_config/families.hpp"

#include <algorithm>
#include <vector>

namespace rvsweep {

namespace {

using nlohmann::json;

Family mistral() {
  return {.model_type = "mistral",
          .name = "Mistral",
          .window = Window::all_layers,
          .defaults = {{"num_key_value_heads", 8}, {"sliding_window", 4096}}};
}

Family ministral() {
  Family family = mistral();
  family.model_type = "ministral";
  family.name = "Ministral";
  family.window = Window::by_type;
  family.defaults["max_position_embeddings"] = 131072;
  return family;
}

Family olmo2() {
  return {.model_type = "olmo2",
          .name = "OLMo-2",
          .qkv_bias = Bias::by_attention_bias,
          .o_bias = Bias::by_attention_bias,
          .qk_norm = QkNorm::all_heads,
          .norm = NormKind::rms_float,
          .norms_before = false,
          .norms_after = true,
          .rotates_in_float32 = true,
          .defaults = {{"rms_norm_eps", 1e-5}}};
}

Family olmo3() {
  Family family = olmo2();
  family.model_type = "olmo3";
  family.name = "OLMo-3";
  family.window = Window::by_type;
  family.honours = {"rope_local_base_freq"};
  family.defaults = {{"rms_norm_eps", 1e-5},
                     {"sliding_window", 4096},
                     {"sliding_window_pattern", 4},
                     {"rope_theta", 5e5},
                     {"rope_local_base_freq", 5e5}};
  return family;
}

Family gemma2() {
  return {.model_type = "gemma2",
          .name = "Gemma 2",
          .qkv_bias = Bias::by_attention_bias,
          .o_bias = Bias::by_attention_bias,
          .window = Window::by_type,
          .norm = NormKind::rms_plus_one,
          .norms_after = true,
          .scaled_embedding = true,
          .honours = {"query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"},
          .defaults = {{"num_key_value_heads", 4},
                       {"head_dim", 256},
                       {"hidden_activation", "gelu_pytorch_tanh"},
                       {"tie_word_embeddings", true},
                       {"query_pre_attn_scalar", 256},
                       {"sliding_window", 4096},
                       {"sliding_window_pattern", 2},
                       {"final_logit_softcapping", 30.0},
                       {"attn_logit_softcapping", 50.0}},
          .aliases = {{"hidden_activation", "hidden_act"}}};
}

/// `model_type`: of the text alone, or of text and images.
Family gemma3(const std::string& model_type) {
  Family family = gemma2();
  family.model_type = model_type;
  family.name = "Gemma 3";
  family.qk_norm = QkNorm::each_head;
  family.honours = {"query_pre_attn_scalar", "final_logit_softcapping", "rope_local_base_freq"};
  family.defaults = {{"vocab_size", 262208},
                     {"hidden_size", 2304},
                     {"intermediate_size", 9216},
                     {"num_hidden_layers", 26},
                     {"num_attention_heads", 8},
                     {"num_key_value_heads", 4},
                     {"head_dim", 256},
                     {"max_position_embeddings", 131072},
                     {"hidden_activation", "gelu_pytorch_tanh"},
                     {"tie_word_embeddings", true},
                     {"query_pre_attn_scalar", 256},
                     {"sliding_window", 4096},
                     {"sliding_window_pattern", 6},
                     {"rope_theta", 1e6},
                     {"rope_local_base_freq", 1e4}};
  return family;
}

}  // namespace

// Values are those of transformers' configuration and modelling files.
std::span<const Family> all_families() {
  static const std::vector<Family> families{
      {.model_type = "llama",
       .name = "Llama",
       .qkv_bias = Bias::by_attention_bias,
       .o_bias = Bias::by_attention_bias,
       .honours = {"mlp_bias"},
       .defaults = {{"max_position_embeddings", 2048}}},
      mistral(),
      ministral(),
      {.model_type = "qwen2",
       .name = "Qwen2",
       .qkv_bias = Bias::always,
       .window = Window::by_use,
       .defaults = {{"num_key_value_heads", 32}, {"sliding_window", 4096}}},
      {.model_type = "qwen3",
       .name = "Qwen3",
       .qkv_bias = Bias::by_attention_bias,
       .o_bias = Bias::by_attention_bias,
       .window = Window::by_use,
       .qk_norm = QkNorm::each_head,
       .defaults = {{"num_key_value_heads", 32}, {"head_dim", 128}, {"sliding_window", 4096}}},
      olmo2(),
      olmo3(),
      gemma2(),
      gemma3("gemma3_text"),
      gemma3("gemma3"),
      {.model_type = "gpt_neox",
       .name = "GPT-NeoX",
       .naming = Naming::gpt_neox,
       .qkv_bias = Bias::by_attention_bias,
       .o_bias = Bias::by_attention_bias,
       .norm = NormKind::layer,
       .gated_mlp = false,
       .honours = {"partial_rotary_factor", "use_parallel_residual"},
       .defaults = {{"attention_bias", true},
                    {"hidden_act", "gelu"},
                    {"layer_norm_eps", 1e-5},
                    {"rotary_pct", 0.25},
                    {"use_parallel_residual", true}},
       .aliases = {{"layer_norm_eps", "rms_norm_eps"},
                   {"rotary_pct", "partial_rotary_factor"},
                   {"rotary_emb_base", "rope_theta"}}},
      {.model_type = "gpt2",
       .name = "GPT-2",
       .naming = Naming::gpt2,
       .qkv_bias = Bias::always,
       .o_bias = Bias::always,
       .norm = NormKind::layer,
       .gated_mlp = false,
       .learned_positions = true,
       .honours = {"n_inner"},
       .defaults = {{"activation_function", "gelu_new"},
                    {"layer_norm_epsilon", 1e-5},
                    {"tie_word_embeddings", true}},
       .aliases = {{"activation_function", "hidden_act"},
                   {"layer_norm_epsilon", "rms_norm_eps"},
                   {"n_embd", "hidden_size"},
                   {"n_head", "num_attention_heads"},
                   {"n_layer", "num_hidden_layers"},
                   {"n_positions", "max_position_embeddings"}}},
      {.model_type = "phi3",
       .name = "Phi-3",
       .fused = true,
       .window = Window::all_layers,
       .honours = {"partial_rotary_factor"},
       .defaults = {{"rms_norm_eps", 1e-5}, {"original_max_position_embeddings", 4096}}},
  };
  return families;
}

const Family* find_family(const std::string& model_type) {
  const auto found = std::ranges::find(all_families(), model_type, &Family::model_type);
  return found == all_families().end() ? nullptr : &*found;
}

std::string supported_families() {
  std::string names, last;
  for (const Family& family : all_families()) {
    if (family.name == last) continue;
    names += (names.empty()                       ? ""
              : &family == &all_families().back() ? " and "
                                                  : ", ") +
             family.name;
    last = family.name;
  }
  return "rvsweep runs dense " + names + " models";
}

}  // namespace rvsweep
