#include "rvsweep/model_config/model_config.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// As transformers 4 wrote it: rope_theta and rope_scaling on the top level.
const json llama3 = {{"architectures", {"LlamaForCausalLM"}},
                     {"model_type", "llama"},
                     {"num_hidden_layers", 32},
                     {"hidden_size", 4096},
                     {"intermediate_size", 14336},
                     {"num_attention_heads", 32},
                     {"num_key_value_heads", 8},
                     {"vocab_size", 128256},
                     {"max_position_embeddings", 8192},
                     {"rms_norm_eps", 1e-5},
                     {"rope_theta", 500000.0},
                     {"rope_scaling", nullptr},
                     {"hidden_act", "silu"},
                     {"attention_bias", false},
                     {"tie_word_embeddings", false},
                     {"torch_dtype", "bfloat16"},
                     {"eos_token_id", 128009}};

const json llama31_scaling = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};

json with(json config, const std::string& key, json value) {
  config[key] = std::move(value);
  return config;
}

json without(json config, const std::string& key) {
  config.erase(key);
  return config;
}

/// The same model as transformers 5 writes it: everything about rotation in rope_parameters.
json version_5(json config, json rope = {{"rope_type", "default"}, {"rope_theta", 500000.0}}) {
  config.erase("rope_theta");
  config.erase("rope_scaling");
  config["rope_parameters"] = std::move(rope);
  return config;
}

class Config : public ::testing::Test {
 protected:
  ModelConfig load(const json& config) {
    folder.write("config.json", config.dump());
    return load_model_config(folder.path());
  }
  std::string refusal(const json& config) {
    return refusal_message([&] { load(config); });
  }
  TemporaryFolder folder;
};

TEST_F(Config, ReadsAModelAsTransformers4WritesIt) {
  const ModelConfig m = load(llama3);
  EXPECT_EQ(m.model_type, "llama");
  EXPECT_EQ(m.n_layers, 32);
  EXPECT_EQ(m.hidden_size, 4096);
  EXPECT_EQ(m.intermediate_size, 14336);
  EXPECT_EQ(m.n_heads, 32);
  EXPECT_EQ(m.n_kv_heads, 8);
  EXPECT_EQ(m.head_dim, 128);
  EXPECT_EQ(m.kv_dim(), 1024);
  EXPECT_EQ(m.group(), 4);
  EXPECT_EQ(m.vocab_size, 128256);
  EXPECT_EQ(m.max_positions, 8192);
  EXPECT_EQ(m.max_positions, 8192);
  EXPECT_EQ(m.norm_eps, 1e-5);
  EXPECT_EQ(m.rope.type, RopeType::default_);
  EXPECT_EQ(m.rope.theta, 500000.0);
  EXPECT_FALSE(m.tied_head);
  EXPECT_FALSE(m.qkv_bias);
  EXPECT_FALSE(m.o_bias);
  EXPECT_EQ(m.eos_token_ids, (Ids{128009}));
}

TEST_F(Config, ReadsTheSameModelAsTransformers5WritesIt) {
  const ModelConfig m = load(version_5(llama3));
  EXPECT_EQ(m.rope.type, RopeType::default_);
  EXPECT_EQ(m.rope.theta, 500000.0);
  EXPECT_EQ(m.n_layers, 32);
}

TEST_F(Config, ReadsTheRotationOfLlama31InBothWritings) {
  json v5 = llama31_scaling;
  v5["rope_theta"] = 500000.0;
  json old_key = llama31_scaling;
  old_key.erase("rope_type");
  old_key["type"] = "llama3";
  for (const json& config : {with(llama3, "rope_scaling", llama31_scaling), version_5(llama3, v5),
                             with(llama3, "rope_scaling", old_key)}) {
    const RopeConfig rope = load(config).rope;
    EXPECT_EQ(rope.type, RopeType::llama3);
    EXPECT_EQ(rope.theta, 500000.0);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.low_freq_factor, 1.0);
    EXPECT_EQ(rope.high_freq_factor, 4.0);
    EXPECT_EQ(rope.original_max_position_embeddings, 8192.0);
  }
}

TEST_F(Config, ReadsLinearScalingInBothWritings) {
  const json v5 = {{"rope_type", "linear"}, {"rope_theta", 500000.0}, {"factor", 2.5}};
  for (const json& config :
       {version_5(llama3, v5),
        with(llama3, "rope_scaling", {{"rope_type", "linear"}, {"factor", 2.5}}),
        with(llama3, "rope_scaling", {{"type", "linear"}, {"factor", 2.5}})}) {
    const RopeConfig rope = load(config).rope;
    EXPECT_EQ(rope.type, RopeType::linear);
    EXPECT_EQ(rope.theta, 500000.0);
    EXPECT_EQ(rope.factor, 2.5);
  }
}

TEST_F(Config, HasTheDefaultsOfTransformers) {
  json small = llama3;
  for (const char* key :
       {"rope_theta", "rope_scaling", "hidden_act", "attention_bias", "tie_word_embeddings",
        "rms_norm_eps", "eos_token_id", "num_key_value_heads"})
    small.erase(key);
  const ModelConfig m = load(small);
  EXPECT_EQ(m.rope.theta, 10000.0);
  EXPECT_EQ(m.norm_eps, 1e-6);
  EXPECT_FALSE(m.tied_head);
  EXPECT_TRUE(m.eos_token_ids.empty());
  EXPECT_EQ(m.n_kv_heads, 32);
}

TEST_F(Config, TakesTheHeadWidthThatIsWritten) {
  EXPECT_EQ(load(with(llama3, "head_dim", 96)).head_dim, 96);
  EXPECT_EQ(load(with(llama3, "head_dim", nullptr)).head_dim, 128);
  // Mistral-Nemo: 32 heads of 128 in a model of 5120.
  const auto m = load(with(with(llama3, "hidden_size", 5000), "head_dim", 128));
  EXPECT_EQ(m.kv_dim(), 1024);
}

// As transformers' configuration and modelling files have it.
TEST_F(Config, TakesFromItsFamilyWhatFamiliesDifferIn) {
  struct Case {
    const char* model_type;
    bool attention_bias, qkv_bias, o_bias;
    std::optional<std::int64_t> sliding_window;
    std::int64_t n_kv_heads, head_dim;
    QkNorm qk_norm;
    NormKind norm = NormKind::rms;
    bool norms_before = true, norms_after = false;
    double eps = 1e-6;
  };
  for (const Case& expected : {Case{"llama", false, false, false, {}, 32, 64, QkNorm::none},
                               {"llama", true, true, true, {}, 32, 64, QkNorm::none},
                               {"mistral", true, false, false, 4096, 8, 64, QkNorm::none},
                               {"ministral", true, false, false, 4096, 8, 64, QkNorm::none},
                               {"qwen2", false, true, false, {}, 32, 64, QkNorm::none},
                               {"qwen2", true, true, false, {}, 32, 64, QkNorm::none},
                               {"qwen3", false, false, false, {}, 32, 128, QkNorm::each_head},
                               {"qwen3", true, true, true, {}, 32, 128, QkNorm::each_head},
                               {"olmo2",
                                true,
                                true,
                                true,
                                {},
                                32,
                                64,
                                QkNorm::all_heads,
                                NormKind::rms_float,
                                false,
                                true,
                                1e-5},
                               {"olmo3", true, true, true, 4096, 32, 64, QkNorm::all_heads,
                                NormKind::rms_float, false, true, 1e-5}}) {
    const json family =
        without(without(with(llama3, "model_type", expected.model_type), "num_key_value_heads"),
                "rms_norm_eps");
    const ModelConfig m =
        load(with(with(family, "attention_bias", expected.attention_bias), "hidden_size", 2048));
    EXPECT_EQ(m.model_type, expected.model_type);
    EXPECT_EQ(m.qkv_bias, expected.qkv_bias) << expected.model_type;
    EXPECT_EQ(m.o_bias, expected.o_bias) << expected.model_type;
    EXPECT_EQ(m.sliding_window, expected.sliding_window) << expected.model_type;
    EXPECT_EQ(m.n_kv_heads, expected.n_kv_heads) << expected.model_type;
    EXPECT_EQ(m.head_dim, expected.head_dim) << expected.model_type;
    EXPECT_EQ(m.qk_norm, expected.qk_norm) << expected.model_type;
    EXPECT_EQ(m.norm, expected.norm) << expected.model_type;
    EXPECT_EQ(m.norms_before, expected.norms_before) << expected.model_type;
    EXPECT_EQ(m.norms_after, expected.norms_after) << expected.model_type;
    EXPECT_EQ(m.norm_eps, expected.eps) << expected.model_type;
    EXPECT_EQ(load(with(family, "num_key_value_heads", nullptr)).n_kv_heads, 32);
  }
}

TEST_F(Config, KnowsATiedHead) {
  EXPECT_TRUE(load(with(llama3, "tie_word_embeddings", true)).tied_head);
}

TEST_F(Config, CollectsEosIdsOfBothFiles) {
  EXPECT_EQ(load(with(llama3, "eos_token_id", {128009, 128001})).eos_token_ids,
            (Ids{128001, 128009}));
  EXPECT_TRUE(load(with(llama3, "eos_token_id", nullptr)).eos_token_ids.empty());
  folder.write("generation_config.json", R"({"eos_token_id": [128001, 128009, 7]})");
  EXPECT_EQ(load(llama3).eos_token_ids, (Ids{7, 128001, 128009}));
  folder.write("generation_config.json", R"({"eos_token_id": 3})");
  EXPECT_EQ(load(llama3).eos_token_ids, (Ids{3, 128009}));
  folder.write("generation_config.json", R"({"eos_token_id": null, "top_p": 0.9})");
  EXPECT_EQ(load(llama3).eos_token_ids, (Ids{128009}));
}

TEST_F(Config, NotesWhatIsAskedForAndNotDone) {
  folder.write("generation_config.json",
               R"({"repetition_penalty": 1.1, "min_new_tokens": 0, "suppress_tokens": [3, 4],
                   "bad_words_ids": [], "num_beams": 1, "top_p": 0.9, "sequence_bias": null})");
  const ModelConfig m = load(with(llama3, "attn_logit_cap", 50));
  EXPECT_EQ(m.repetition_penalty, 1.1);
  ASSERT_EQ(m.notes.size(), 2u);
  EXPECT_TRUE(says(m.notes[0], {"config.json: attn_logit_cap is not known"}));
  EXPECT_TRUE(says(m.notes[1], {"suppress_tokens = [3,4] is not applied"}));
}

TEST_F(Config, ReadsTheTokenizersEosTokenInBothWritings) {
  EXPECT_EQ(load(llama3).eos_token, "");
  folder.write("tokenizer_config.json", R"({"eos_token": "<|eot_id|>"})");
  EXPECT_EQ(load(llama3).eos_token, "<|eot_id|>");
  folder.write("tokenizer_config.json", R"({"eos_token": {"content": "</s>", "lstrip": false}})");
  EXPECT_EQ(load(llama3).eos_token, "</s>");
  folder.write("tokenizer_config.json", R"({"eos_token": null})");
  EXPECT_EQ(load(llama3).eos_token, "");
}

TEST_F(Config, LayerTypesTellWhichLayersHaveTheWindow) {
  std::vector<std::string> mixed(32, "sliding_attention");
  mixed[5] = "full_attention";
  for (const char* type : {"ministral", "olmo3"}) {
    const json family = with(with(llama3, "model_type", type), "sliding_window", 100);
    const ModelConfig listed = load(with(family, "layer_types", mixed)), usual = load(family);
    for (std::int64_t layer = 0; layer < 32; ++layer) {
      EXPECT_EQ(listed.window(layer), layer == 5 ? 0 : 100);
      EXPECT_EQ(usual.window(layer), std::string(type) == "olmo3" && layer % 4 == 3 ? 0 : 100);
    }
  }
}

/// transformers: layers of sliding attention keep the family's own theta.
TEST_F(Config, OnlyFullAttentionOfOlmo3IsScaled) {
  json olmo = with(with(llama3, "model_type", "olmo3"), "rope_theta", 1e6);
  olmo["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 8.0}, {"original_max_position_embeddings", 8192}};
  const ModelConfig m = load(olmo);
  EXPECT_EQ(m.rope.type, RopeType::yarn);
  EXPECT_EQ(m.rope.theta, 1e6);
  EXPECT_EQ(m.local_rope, (RopeConfig{.theta = 5e5, .in_float32 = true}));
  EXPECT_TRUE(m.rope.in_float32);
  EXPECT_FALSE(load(llama3).rope.in_float32);
}

TEST_F(Config, ASlidingWindowIsOfItsLayers) {
  const json mistral = with(llama3, "model_type", "mistral");
  const ModelConfig without_window = load(with(mistral, "sliding_window", nullptr));
  EXPECT_FALSE(without_window.sliding_window);
  EXPECT_EQ(without_window.window(0), 0);
  const ModelConfig narrow = load(with(mistral, "sliding_window", 4096));
  EXPECT_EQ(narrow.max_positions, 8192);
  for (std::int64_t layer = 0; layer < 32; ++layer) EXPECT_EQ(narrow.window(layer), 4096);
  EXPECT_TRUE(says(narrow.description, {"sliding window of 4096 in 32 of 32 layers"}));
  const ModelConfig qwen =
      load(with(with(with(llama3, "model_type", "qwen2"), "use_sliding_window", true),
                "max_window_layers", 28));
  for (std::int64_t layer = 0; layer < 32; ++layer)
    EXPECT_EQ(qwen.window(layer), layer < 28 ? 0 : 4096);
}

TEST_F(Config, EachFamilyHasItsOwnWindowKeys) {
  const json llama = with(llama3, "sliding_window", 4096);
  EXPECT_FALSE(load(llama).sliding_window);
  const json mistral = with(llama, "model_type", "mistral");
  EXPECT_EQ(load(with(mistral, "use_sliding_window", false)).sliding_window, 4096);
  const json qwen = with(llama, "model_type", "qwen2");
  EXPECT_FALSE(load(qwen).sliding_window);
  EXPECT_FALSE(load(with(qwen, "use_sliding_window", false)).sliding_window);
  const json windows = with(qwen, "use_sliding_window", true);
  EXPECT_EQ(load(windows).sliding_window, 4096);
  EXPECT_EQ(load(without(windows, "sliding_window")).sliding_window, 4096);
  EXPECT_FALSE(load(with(windows, "sliding_window", nullptr)).sliding_window);
  EXPECT_FALSE(load(with(windows, "max_window_layers", 32)).sliding_window);
  EXPECT_EQ(load(with(windows, "max_window_layers", 31)).sliding_window, 4096);
  const json full = std::vector<std::string>(32, "full_attention");
  json mixed = full;
  mixed[1] = "sliding_attention";
  EXPECT_FALSE(load(with(windows, "layer_types", full)).sliding_window);
  EXPECT_EQ(load(with(windows, "layer_types", mixed)).sliding_window, 4096);
  EXPECT_TRUE(says(refusal(with(windows, "layer_types", {"full_attention"})), {"layer_types"}));
}

TEST_F(Config, WhatTwoVersionsOfTransformersReadDifferentlyIsRefused) {
  const json v5 = with(llama31_scaling, "rope_theta", 500000.0);
  const json both = with(with(llama3, "rope_parameters", v5), "rope_scaling", llama31_scaling);
  EXPECT_EQ(load(both).rope.type, RopeType::llama3);
  EXPECT_EQ(load(without(both, "rope_theta")).rope.theta, 500000.0);
  const json linear = {{"rope_type", "linear"}, {"factor", 2.0}};
  EXPECT_TRUE(says(refusal(with(both, "rope_scaling", linear)),
                   {"rope_scaling and rope_parameters do not say the same"}));
  EXPECT_TRUE(says(refusal(with(both, "rope_theta", 10000.0)),
                   {"rope_theta and rope_parameters do not say the same"}));
  const char* const original = "original_max_position_embeddings";
  EXPECT_EQ(load(with(both, original, 8192)).rope.original_max_position_embeddings, 8192);
  EXPECT_TRUE(says(refusal(with(both, original, 4096)), {original, "do not say the same"}));
}

TEST_F(Config, AMissingOrMalformedFileIsNamed) {
  const std::string path = (folder.path() / "config.json").string();
  EXPECT_TRUE(says(refusal_message([&] { load_model_config(folder.path()); }),
                   {path, "cannot be read", "model.path"}));
  for (const char* text : {"", "{", "not json", "{\"model_type\": \"llama\",}"}) {
    folder.write("config.json", text);
    EXPECT_TRUE(
        says(refusal_message([&] { load_model_config(folder.path()); }), {path, "not valid JSON"}));
  }
  folder.write("config.json", R"({"rms_norm_eps": -Infinity})");
  EXPECT_TRUE(says(refusal_message([&] { load_model_config(folder.path()); }),
                   {path, "neither NaN nor Infinity"}));
  folder.write("config.json", R"({"rms_norm_eps": 1e999})");
  EXPECT_TRUE(says(refusal_message([&] { load_model_config(folder.path()); }),
                   {path, "beyond the range of a double"}));
  folder.write("config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:7\n");
  EXPECT_TRUE(
      says(refusal_message([&] { load_model_config(folder.path()); }), {path, "Git LFS pointer"}));
  for (const char* text : {"[]", "3", "null", "{}"}) {
    folder.write("config.json", text);
    EXPECT_TRUE(says(refusal_message([&] { load_model_config(folder.path()); }), {path}));
  }
}

TEST_F(Config, MalformedFilesBesideItAreNamed) {
  for (const char* name : {"generation_config.json", "tokenizer_config.json"}) {
    for (const char* text : {"{", "[]", "\"text\"", R"({"eos_token_id": "x", "eos_token": 3})",
                             R"({"eos_token_id": [1, "x"], "eos_token": {"content": 3}})"}) {
      folder.write(name, text);
      EXPECT_TRUE(says(refusal(llama3), {(folder.path() / name).string()})) << text;
    }
    std::filesystem::remove(folder.path() / name);
  }
}

TEST_F(Config, AMissingKeyIsNamed) {
  for (const char* key : {"model_type", "num_hidden_layers", "hidden_size", "intermediate_size",
                          "num_attention_heads", "vocab_size"})
    EXPECT_TRUE(
        says(refusal(without(llama3, key)), {"config.json", std::string("\"") + key + "\""}));
  const json mistral = with(llama3, "model_type", "mistral");
  EXPECT_TRUE(
      says(refusal(without(mistral, "max_position_embeddings")), {"\"max_position_embeddings\""}));
  EXPECT_EQ(load(without(llama3, "max_position_embeddings")).max_positions, 2048);  // Llama 1
}

TEST_F(Config, AValueOfTheWrongTypeOrSignIsNamed) {
  for (const char* key :
       {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
        "num_key_value_heads", "vocab_size", "max_position_embeddings", "head_dim"}) {
    EXPECT_TRUE(says(refusal(with(llama3, key, "many")), {"config.json", key, "wrong type"}));
    EXPECT_TRUE(says(refusal(with(llama3, key, 0)), {"config.json", key, "positive"}));
    EXPECT_TRUE(says(refusal(with(llama3, key, -4)), {"config.json", key, "positive"}));
  }
  EXPECT_TRUE(says(refusal(with(llama3, "rms_norm_eps", "small")), {"rms_norm_eps"}));
  EXPECT_TRUE(says(refusal(with(llama3, "tie_word_embeddings", "no")), {"tie_word_embeddings"}));
  EXPECT_TRUE(says(refusal(with(llama3, "eos_token_id", "</s>")), {"eos_token_id"}));
  EXPECT_TRUE(says(refusal(with(llama3, "model_type", 3)), {"model_type"}));
  EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", "linear")), {"rope_scaling"}));
  EXPECT_TRUE(says(refusal(version_5(llama3, 500000.0)), {"rope_parameters"}));
}

TEST_F(Config, HeadsThatDoNotDivideAreRefused) {
  EXPECT_TRUE(says(refusal(with(llama3, "num_key_value_heads", 5)), {"num_key_value_heads"}));
  EXPECT_TRUE(says(refusal(with(llama3, "hidden_size", 4100)), {"hidden_size"}));
  EXPECT_TRUE(says(refusal(with(llama3, "head_dim", 63)), {"head_dim", "odd"}));
}

TEST_F(Config, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_TRUE(
      says(refusal(with(llama3, "model_type", "bloom")),
           {"config.json: model_type \"bloom\" is not supported: rvsweep runs dense Llama"}));
  EXPECT_TRUE(says(refusal(with(llama3, "model_type", "mixtral")), {"\"mixtral\""}));
  EXPECT_TRUE(says(refusal(with(llama3, "quantization_config", {{"quant_method", "gptq"}})),
                   {"quantization_config"}));
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"})
    EXPECT_TRUE(says(refusal(with(llama3, key, 8)), {key, "mixture of experts"}));
  EXPECT_TRUE(says(refusal(with(llama3, "hidden_act", "relu2")), {"hidden_act", "\"relu2\""}));
  const json qwen2 = with(llama3, "model_type", "qwen2");
  EXPECT_TRUE(says(refusal(with(qwen2, "mlp_bias", true)), {"mlp_bias: true"}));
  EXPECT_TRUE(load(with(llama3, "mlp_bias", true)).mlp_bias);
  const json with_keys = {"use_bidirectional_attention", "add_cross_attention",
                          "scale_attn_by_inverse_layer_idx"};
  for (const std::string key : with_keys)
    EXPECT_TRUE(says(refusal(with(llama3, key, true)), {key + ": true"}));
  EXPECT_TRUE(says(refusal(with(llama3, "is_causal", false)), {"is_causal: false"}));
  EXPECT_TRUE(says(refusal(with(llama3, "partial_rotary_factor", 0.5)), {"partial_rotary_factor"}));
  EXPECT_TRUE(says(
      refusal(version_5(
          llama3, {{"rope_type", "default"}, {"rope_theta", 1e4}, {"partial_rotary_factor", 0.5}})),
      {"partial_rotary_factor"}));
}

TEST_F(Config, OtherRotationsAreRefusedByName) {
  for (const char* type : {"ntk", "mrope"}) {
    EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", {{"rope_type", type}, {"factor", 2.0}})),
                     {"rope_scaling", std::string("\"") + type + "\"",
                      "default, linear, dynamic, llama3, yarn and longrope"}));
    EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", {{"type", type}, {"factor", 2.0}})),
                     {std::string("\"") + type + "\""}));
    EXPECT_TRUE(says(refusal(version_5(llama3, {{"rope_type", type}, {"rope_theta", 1e4}})),
                     {"rope_parameters", std::string("\"") + type + "\""}));
  }
}

TEST_F(Config, ALinearRotationNeedsAPositiveFactor) {
  const json linear = {{"rope_type", "linear"}};
  EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", linear)), {"rope_scaling", "factor"}));
  EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", with(linear, "factor", 0.0))),
                   {"rope_scaling", "factor", "above 0"}));
}

TEST_F(Config, AnIncompleteLlama3RotationIsNamed) {
  for (const char* key :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
    EXPECT_TRUE(says(refusal(with(llama3, "rope_scaling", without(llama31_scaling, key))),
                     {"rope_scaling", std::string("\"") + key + "\""}));
}

/// A Gemma 3 of text and images as its folders have it: almost every key is left out.
const json gemma3 = {{"model_type", "gemma3"},
                     {"eos_token_id", {1, 106}},
                     {"text_config",
                      {{"model_type", "gemma3_text"},
                       {"hidden_size", 2560},
                       {"intermediate_size", 10240},
                       {"num_hidden_layers", 34},
                       {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                       {"sliding_window", 1024}}},
                     {"vision_config", {{"hidden_size", 1152}}}};

TEST_F(Config, ReadsTheTextModelOfAMultimodalOne) {
  const ModelConfig m = load(gemma3);
  EXPECT_EQ(m.hidden_size, 2560);
  EXPECT_EQ(m.n_layers, 34);
  EXPECT_EQ(m.n_heads, 8);
  EXPECT_EQ(m.head_dim, 256);
  EXPECT_EQ(m.vocab_size, 262208);
  EXPECT_TRUE(m.tied_head);
  EXPECT_EQ(m.activation, Activation::gelu_tanh);
  EXPECT_EQ(m.embedding_scale, std::sqrt(2560.0));
  EXPECT_EQ(m.attention_scale(), 1 / 16.0);
  EXPECT_EQ(m.rope.type, RopeType::linear);
  EXPECT_EQ(m.rope.theta, 1e6);
  EXPECT_EQ(m.local_rope->type, RopeType::default_);
  EXPECT_EQ(m.local_rope->theta, 1e4);
  for (std::int64_t layer = 0; layer < 34; ++layer) {
    EXPECT_EQ(m.is_local(layer), layer % 6 != 5);
    EXPECT_EQ(m.window(layer), layer % 6 != 5 ? 1024 : 0);
  }
  EXPECT_EQ(m.max_positions, 131072);
  EXPECT_EQ(m.eos_token_ids, (Ids{1, 106}));
  EXPECT_TRUE(m.notes.empty());
}

TEST_F(Config, ReadsARotationOfItsOwnForEachKindOfLayer) {
  json v5 = gemma3;
  v5["text_config"].erase("rope_scaling");
  v5["text_config"]["rope_parameters"] = {
      {"full_attention", {{"rope_type", "linear"}, {"rope_theta", 2e6}, {"factor", 4.0}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 3e4}}}};
  const ModelConfig m = load(v5);
  EXPECT_EQ(m.rope.theta, 2e6);
  EXPECT_EQ(m.rope.factor, 4);
  EXPECT_EQ(m.local_rope->theta, 3e4);
}

TEST_F(Config, SoftCapsAreThoseThatTheFamilyHonours) {
  json text = gemma3["text_config"];
  text["attn_logit_softcapping"] = 50.0;
  text["final_logit_softcapping"] = 30.0;
  const ModelConfig third = load(with(text, "model_type", "gemma3_text"));
  EXPECT_EQ(third.attention_soft_cap, 0);
  EXPECT_EQ(third.logit_soft_cap, 30);
  json second = with(with(llama3, "model_type", "gemma2"), "head_dim", 128);
  EXPECT_EQ(load(second).attention_soft_cap, 50);
  EXPECT_EQ(load(with(second, "attn_logit_softcapping", nullptr)).attention_soft_cap, 0);
  EXPECT_EQ(load(with(llama3, "attn_logit_softcapping", 50.0)).attention_soft_cap, 0);
}

TEST_F(Config, ReadsGpt2sOwnNames) {
  const json gpt2 = {{"model_type", "gpt2"}, {"n_embd", 768},        {"n_layer", 12},
                     {"n_head", 12},         {"n_positions", 1024},  {"n_ctx", 1024},
                     {"vocab_size", 50257},  {"eos_token_id", 50256}};
  const ModelConfig m = load(gpt2);
  EXPECT_EQ(m.hidden_size, 768);
  EXPECT_EQ(m.intermediate_size, 3072);
  EXPECT_EQ(m.max_positions, 1024);
  EXPECT_EQ(m.activation, Activation::gelu_tanh);
  EXPECT_EQ(m.rotary_dim(), 0);
  EXPECT_TRUE(m.learned_positions && m.tied_head && m.qkv_bias && m.o_bias);
  EXPECT_EQ(load(with(gpt2, "n_inner", 100)).intermediate_size, 100);
  EXPECT_TRUE(says(m.description, {"GPT-2", "LayerNorm", "learned positions"}));
}

TEST_F(Config, ReadsGptNeoxsOwnNames) {
  json neox = with(with(llama3, "model_type", "gpt_neox"), "rotary_emb_base", 12345);
  for (const char* key : {"rope_theta", "rms_norm_eps", "num_key_value_heads", "attention_bias"})
    neox.erase(key);
  const ModelConfig m = load(with(neox, "hidden_act", "gelu"));
  EXPECT_EQ(m.rope.theta, 12345);
  EXPECT_EQ(m.rotary_dim(), 32);
  EXPECT_EQ(m.norm_eps, 1e-5);
  EXPECT_TRUE(m.parallel_residual && m.qkv_bias && m.o_bias);
  EXPECT_FALSE(load(with(neox, "use_parallel_residual", false)).parallel_residual);
  EXPECT_EQ(load(with(neox, "rotary_pct", 1.0)).rotary_dim(), 128);
  EXPECT_FALSE(load(with(llama3, "use_parallel_residual", true)).parallel_residual);
}

TEST_F(Config, ReadsYarnAndItsScale) {
  const json yarn = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}};
  const RopeConfig rope = load(with(llama3, "rope_scaling", yarn)).rope;
  EXPECT_EQ(rope.type, RopeType::yarn);
  EXPECT_EQ(rope.scale, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(load(with(llama3, "rope_scaling", with(yarn, "attention_factor", 1.25))).rope.scale,
            1.25);
  EXPECT_TRUE(
      says(refusal(with(llama3, "rope_scaling", without(yarn, "original_max_position_embeddings"))),
           {"original_max_position_embeddings"}));
}

TEST_F(Config, LongropeEndsWithItsOriginalContext) {
  json phi = with(with(llama3, "model_type", "phi3"), "max_position_embeddings", 131072);
  phi["rope_scaling"] = {{"type", "longrope"},
                         {"short_factor", std::vector<double>(64, 1.5)},
                         {"long_factor", std::vector<double>(64, 3.0)}};
  const ModelConfig m = load(phi);
  EXPECT_EQ(m.max_positions, 4096);
  EXPECT_NE(positions_text(m).find("4096 positions (LongRoPE"), std::string::npos);
  EXPECT_EQ(positions_text(load(llama3)),
            std::to_string(load(llama3).max_positions) + " positions");
  EXPECT_EQ(m.rope.divisors.size(), 64u);
  EXPECT_EQ(m.rope.scale, std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  EXPECT_TRUE(m.fused);
  phi["rope_scaling"]["short_factor"] = {1.5};
  EXPECT_TRUE(says(refusal(phi), {"short_factor"}));
}

TEST_F(Config, DynamicScalingIsNoneWithinThePositions) {
  const json dynamic = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  EXPECT_EQ(load(with(llama3, "rope_scaling", dynamic)).rope, load(llama3).rope);
}

// transformers 5 gives each attention type its own rotation in some models.
TEST_F(Config, ARotationPerLayerTypeIsRefusedWhereTheFamilyHasOne) {
  const json rope = {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e6}}}};
  EXPECT_TRUE(says(refusal(version_5(llama3, rope)), {"rope_parameters"}));
}

}  // namespace
}  // namespace rvsweep
