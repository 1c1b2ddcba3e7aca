#include "model_config/config_keys.hpp"

#include <set>

namespace rvsweep {
namespace {

using nlohmann::json;

// Read, be it to be refused.
const std::set<std::string> read_keys{"add_cross_attention",
                                      "attention_bias",
                                      "attn_logit_softcapping",
                                      "eos_token_id",
                                      "final_logit_softcapping",
                                      "head_dim",
                                      "hidden_act",
                                      "hidden_size",
                                      "initializer_range",
                                      "intermediate_size",
                                      "is_causal",
                                      "is_encoder_decoder",
                                      "layer_types",
                                      "max_position_embeddings",
                                      "max_window_layers",
                                      "mlp_bias",
                                      "model_type",
                                      "n_inner",
                                      "n_routed_experts",
                                      "num_attention_heads",
                                      "num_experts",
                                      "num_hidden_layers",
                                      "num_key_value_heads",
                                      "num_local_experts",
                                      "original_max_position_embeddings",
                                      "partial_rotary_factor",
                                      "quantization_config",
                                      "query_pre_attn_scalar",
                                      "rms_norm_eps",
                                      "rope_local_base_freq",
                                      "rope_parameters",
                                      "rope_scaling",
                                      "rope_theta",
                                      "scale_attn_by_inverse_layer_idx",
                                      "scale_attn_weights",
                                      "sliding_window",
                                      "sliding_window_pattern",
                                      "tie_word_embeddings",
                                      "use_bidirectional_attention",
                                      "use_parallel_residual",
                                      "use_sliding_window",
                                      "vocab_size"};

// Training, output formats, token ids that the tokenizer decides, and the file's own history.
const std::set<std::string> keys_without_effect{"_name_or_path",
                                                "_sliding_window_pattern",
                                                "architectures",
                                                "attention_dropout",
                                                "attn_pdrop",
                                                "auto_map",
                                                "boi_token_index",
                                                "bos_token_id",
                                                "cache_implementation",
                                                "chunk_size_feed_forward",
                                                "classifier_dropout",
                                                "cls_token_id",
                                                "dtype",
                                                "embd_pdrop",
                                                "eoi_token_index",
                                                "gradient_checkpointing",
                                                "hidden_dropout",
                                                "id2label",
                                                "image_token_index",
                                                "is_decoder",
                                                "label2id",
                                                "max_sequence_length",
                                                "mm_tokens_per_image",
                                                "n_ctx",
                                                "output_attentions",
                                                "output_hidden_states",
                                                "pad_token_id",
                                                "pretraining_tp",
                                                "problem_type",
                                                "reorder_and_upcast_attn",
                                                "resid_pdrop",
                                                "return_dict",
                                                "sep_token_id",
                                                "summary_activation",
                                                "summary_first_dropout",
                                                "summary_proj_to_labels",
                                                "summary_type",
                                                "summary_use_proj",
                                                "task_specific_params",
                                                "tokenizer_class",
                                                "torch_dtype",
                                                "transformers_version",
                                                "unk_token_id",
                                                "use_cache",
                                                "vision_config"};

// With the value that changes nothing; null: any value does.
const json generation_settings{{"bad_words_ids", nullptr},
                               {"begin_suppress_tokens", nullptr},
                               {"constraints", nullptr},
                               {"dola_layers", nullptr},
                               {"encoder_no_repeat_ngram_size", 0},
                               {"encoder_repetition_penalty", 1.0},
                               {"epsilon_cutoff", 0.0},
                               {"eta_cutoff", 0.0},
                               {"exponential_decay_length_penalty", nullptr},
                               {"force_words_ids", nullptr},
                               {"forced_bos_token_id", nullptr},
                               {"forced_eos_token_id", nullptr},
                               {"guidance_scale", 1.0},
                               {"min_length", 0},
                               {"min_new_tokens", 0},
                               {"min_p", 0.0},
                               {"no_repeat_ngram_size", 0},
                               {"num_beams", 1},
                               {"penalty_alpha", 0.0},
                               {"sequence_bias", nullptr},
                               {"stop_strings", nullptr},
                               {"suppress_tokens", nullptr},
                               {"top_h", nullptr},
                               {"typical_p", 1.0},
                               {"watermarking_config", nullptr}};

}  // namespace

std::vector<std::string> unknown_keys(const json& config) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config.items())
    if (!read_keys.contains(key) && !keys_without_effect.contains(key)) unknown.push_back(key);
  return unknown;
}

std::vector<std::string> settings_not_applied(const json& generation_config) {
  std::vector<std::string> settings;
  for (const auto& [key, neutral] : generation_settings.items())
    if (const auto value = generation_config.value(key, json());
        !value.is_null() && value != neutral && !(value.is_array() && value.empty()))
      settings.push_back(key + " = " + value.dump());
  return settings;
}

}  // namespace rvsweep
