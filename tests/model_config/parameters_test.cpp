#include "rvsweep/model_config/parameters.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/input_error.hpp"
#include "support/sample_model_config.hpp"

namespace rvsweep {
namespace {

/// Every size of a parameter another number: 4 query heads of 12, 2 KV heads, 2 layers.
ModelConfig tiny() {
  ModelConfig config = testing::sample_model_config(2);
  config.intermediate_size = 40;
  return config;
}

TensorIndex index_of(const ModelConfig& config) {
  TensorIndex index;
  for (const Parameter& parameter : parameters_of(config))
    index[parameter.name] = {"model.safetensors", "F32", parameter.shape, 0, 0};
  return index;
}

/// As the expected lists below: slot, name, shape, role.
struct Expected {
  Slot slot;
  std::string name;
  Shape shape;
  Role role;
};

/// A block of the tiny model with what biases it has.
std::vector<Expected> expected_layer(const std::string& layer, bool qkv_bias, bool o_bias) {
  const std::string attention = layer + ".self_attn.";
  std::vector<Expected> block{
      {Slot::input_norm, layer + ".input_layernorm.weight", {32}, Role::norm_weight},
      {Slot::qkv_proj, attention + "q_proj.weight", {48, 32}, Role::product},
      {Slot::qkv_proj, attention + "k_proj.weight", {24, 32}, Role::product},
      {Slot::qkv_proj, attention + "v_proj.weight", {24, 32}, Role::product}};
  if (qkv_bias) {
    block.push_back({Slot::qkv_bias, attention + "q_proj.bias", {48}, Role::bias});
    block.push_back({Slot::qkv_bias, attention + "k_proj.bias", {24}, Role::bias});
    block.push_back({Slot::qkv_bias, attention + "v_proj.bias", {24}, Role::bias});
  }
  block.push_back({Slot::o_proj, attention + "o_proj.weight", {32, 48}, Role::product});
  if (o_bias) block.push_back({Slot::o_bias, attention + "o_proj.bias", {32}, Role::bias});
  const std::string mlp_norm = layer + ".post_attention_layernorm.weight";
  block.push_back({Slot::mlp_norm, mlp_norm, {32}, Role::norm_weight});
  block.push_back({Slot::gate_up_proj, layer + ".mlp.gate_proj.weight", {40, 32}, Role::product});
  block.push_back({Slot::gate_up_proj, layer + ".mlp.up_proj.weight", {40, 32}, Role::product});
  block.push_back({Slot::down_proj, layer + ".mlp.down_proj.weight", {32, 40}, Role::product});
  return block;
}

void expect_parameters(const ModelConfig& config, const std::vector<Expected>& expected) {
  const auto parameters = parameters_of(config);
  ASSERT_EQ(parameters.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(parameters[i].name, expected[i].name);
    EXPECT_EQ(parameters[i].slot, expected[i].slot) << expected[i].name;
    EXPECT_EQ(parameters[i].shape, expected[i].shape) << expected[i].name;
    EXPECT_EQ(parameters[i].role, expected[i].role) << expected[i].name;
    EXPECT_EQ(parameters[i].layer, expected[i].name.starts_with("model.layers.1.") ? 1 : 0);
  }
}

// Llama without and with attention_bias, Mistral like the first, Qwen2, each with both heads.
TEST(Parameters, AreHuggingFacesInTheOrderOfTheirUse) {
  using Biases = std::pair<bool, bool>;
  for (const auto& [qkv_bias, o_bias] : {Biases{false, false}, Biases{true, true}, {true, false}})
    for (const bool tied_head : {false, true}) {
      ModelConfig config = tiny();
      config.qkv_bias = qkv_bias;
      config.o_bias = o_bias;
      config.tied_head = tied_head;
      std::vector<Expected> expected{
          {Slot::embedding, "model.embed_tokens.weight", {64, 32}, Role::lookup}};
      for (const char* layer : {"model.layers.0", "model.layers.1"})
        for (const Expected& parameter : expected_layer(layer, qkv_bias, o_bias))
          expected.push_back(parameter);
      expected.push_back({Slot::norm, "model.norm.weight", {32}, Role::norm_weight});
      if (!tied_head) expected.push_back({Slot::head, "lm_head.weight", {64, 32}, Role::product});
      expect_parameters(config, expected);
    }
}

TEST(Parameters, NormsOfHeadsFollowTheirProjections) {
  ModelConfig config = tiny();
  const auto without = parameters_of(config);
  config.head_norms = true;
  auto with = parameters_of(config);
  const auto q_norm = std::ranges::find(with, Slot::q_norm, &Parameter::slot);
  EXPECT_EQ(q_norm->name, "model.layers.0.self_attn.q_norm.weight");
  EXPECT_EQ(q_norm->shape, Shape{config.head_dim});
  EXPECT_EQ(q_norm->role, Role::norm_weight);
  EXPECT_EQ((q_norm - 1)->name, "model.layers.0.self_attn.v_proj.weight");
  EXPECT_EQ((q_norm + 1)->name, "model.layers.0.self_attn.k_norm.weight");
  std::erase_if(
      with, [](const Parameter& p) { return p.slot == Slot::q_norm || p.slot == Slot::k_norm; });
  EXPECT_EQ(with.size(), without.size());
}

TEST(Parameters, ShareATensorWithThoseOfTheirSlotAndLayer) {
  const auto parameters = parameters_of(tiny());
  const auto find = [&](const std::string& name) {
    return *std::ranges::find(parameters, "model.layers." + name + ".weight", &Parameter::name);
  };
  const Parameter q = find("1.self_attn.q_proj"), v = find("1.self_attn.v_proj");
  EXPECT_TRUE(q.shares_tensor(v));
  EXPECT_FALSE(q.shares_tensor(find("0.self_attn.q_proj")));
  EXPECT_FALSE(q.shares_tensor(find("1.self_attn.o_proj")));
  EXPECT_EQ(q.numel(), 48 * 32);
}

TEST(CheckTensors, AcceptsAWholeModelInAnySupportedDtype) {
  TensorIndex index = index_of(tiny());
  check_tensors(tiny(), index);
  index["model.norm.weight"].dtype = "BF16";
  index["lm_head.weight"].dtype = "F16";
  check_tensors(tiny(), index);
}

TEST(CheckTensors, NamesAMissingParameter) {
  for (const Parameter& parameter : parameters_of(tiny())) {
    TensorIndex index = index_of(tiny());
    index.erase(parameter.name);
    EXPECT_TRUE(says(refusal_message([&] { check_tensors(tiny(), index); }), {parameter.name}));
  }
}

TEST(CheckTensors, NamesAnUnusedTensor) {
  TensorIndex index = index_of(tiny());
  index["model.layers.2.mlp.up_proj.weight"] = {"shard.safetensors", "F32", {40, 32}, 0, 0};
  EXPECT_TRUE(says(refusal_message([&] { check_tensors(tiny(), index); }),
                   {"shard.safetensors", "model.layers.2.mlp.up_proj.weight"}));
  index = index_of(tiny());
  index["model.layers.0.self_attn.v_proj.bias"] = {"shard.safetensors", "F32", {24}, 0, 0};
  EXPECT_TRUE(says(refusal_message([&] { check_tensors(tiny(), index); }),
                   {"model.layers.0.self_attn.v_proj.bias"}));
}

TEST(CheckTensors, PassesOverRotaryBuffersAndACopyOfATiedHead) {
  ModelConfig config = tiny();
  config.tied_head = true;
  TensorIndex index = index_of(config);
  index["model.layers.0.self_attn.rotary_emb.inv_freq"] = {"f", "F32", {2}, 0, 0};
  index["lm_head.weight"] = {"f", "F32", {64, 32}, 0, 0};
  check_tensors(config, index);
  index["model.layers.0.self_attn.rotary_emb.inv_freq_2"] = {"f", "F32", {2}, 0, 0};
  EXPECT_TRUE(says(refusal_message([&] { check_tensors(config, index); }), {"inv_freq_2"}));
}

TEST(CheckTensors, NamesAWrongShapeAndBothShapes) {
  TensorIndex index = index_of(tiny());
  index["model.layers.0.self_attn.k_proj.weight"].shape = {32, 24};
  EXPECT_TRUE(says(
      refusal_message([&] { check_tensors(tiny(), index); }),
      {"model.safetensors", "model.layers.0.self_attn.k_proj.weight", "[32, 24]", "[24, 32]"}));
}

TEST(CheckTensors, NamesAQuantisedTensor) {
  for (const std::string dtype : {"I8", "U8", "F8_E4M3", "F64"}) {
    TensorIndex index = index_of(tiny());
    index["model.norm.weight"].dtype = dtype;
    EXPECT_TRUE(says(refusal_message([&] { check_tensors(tiny(), index); }),
                     {"model.norm.weight", dtype, "not supported"}));
  }
}

}  // namespace
}  // namespace rvsweep
