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
    block.push_back({Slot::qkv_proj, attention + "q_proj.bias", {48}, Role::bias});
    block.push_back({Slot::qkv_proj, attention + "k_proj.bias", {24}, Role::bias});
    block.push_back({Slot::qkv_proj, attention + "v_proj.bias", {24}, Role::bias});
  }
  block.push_back({Slot::o_proj, attention + "o_proj.weight", {32, 48}, Role::product});
  if (o_bias) block.push_back({Slot::o_proj, attention + "o_proj.bias", {32}, Role::bias});
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
  config.qk_norm = QkNorm::each_head;
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

TEST(Parameters, NormsAfterAHalfTakeTheNameOfLlamasSecond) {
  ModelConfig config = tiny();
  config.qk_norm = QkNorm::all_heads;
  config.norms_after = true;
  const auto name_of = [&](Slot slot) {
    const auto parameters = parameters_of(config);
    const auto found = std::ranges::find(parameters, slot, &Parameter::slot);
    return found == parameters.end() ? "" : found->name;
  };
  EXPECT_EQ(name_of(Slot::attention_out_norm), "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(name_of(Slot::mlp_norm), "model.layers.0.pre_feedforward_layernorm.weight");
  EXPECT_EQ(name_of(Slot::mlp_out_norm), "model.layers.0.post_feedforward_layernorm.weight");
  const auto parameters = parameters_of(config);
  const auto k_norm = std::ranges::find(parameters, Slot::k_norm, &Parameter::slot);
  EXPECT_EQ((k_norm - 1)->shape, Shape{48});
  EXPECT_EQ(k_norm->shape, Shape{24});
  config.norms_before = false;
  EXPECT_EQ(name_of(Slot::input_norm), "");
  EXPECT_EQ(name_of(Slot::mlp_norm), "");
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
  Parameter q_bias = q;
  q_bias.role = Role::bias;
  EXPECT_FALSE(q.shares_tensor(q_bias));
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

TEST(CheckTensors, PassesOverACopyOfATiedHead) {
  ModelConfig config = tiny();
  config.tied_head = true;
  TensorIndex index = index_of(config);
  index["lm_head.weight"] = {"f", "F32", {64, 32}, 0, 0};
  check_tensors(config, index);
}

TEST(OwnTensors, AreWithoutBuffersAndWhatSees) {
  const TensorEntry entry{"f", "F32", {2}, 0, 0};
  const TensorIndex own =
      own_tensors(tiny(), {{"model.layers.0.self_attn.rotary_emb.inv_freq", entry},
                           {"model.layers.0.self_attn.rotary_emb.inv_freq_2", entry},
                           {"vision_tower.x", entry},
                           {"model.multi_modal_projector.x", entry},
                           {"gpt_neox.layers.0.attention.masked_bias", entry},
                           {"h.0.attn.bias", entry}});
  ASSERT_EQ(own.size(), 1u);
  EXPECT_EQ(own.begin()->first, "model.layers.0.self_attn.rotary_emb.inv_freq_2");
}

TEST(OwnTensors, HaveTheTextModelsNames) {
  const auto name_of = [](Naming naming, const std::string& name) {
    ModelConfig config = tiny();
    config.naming = naming;
    return own_tensors(config, {{name, {}}}).begin()->first;
  };
  EXPECT_EQ(name_of(Naming::llama, "language_model.model.norm.weight"), "model.norm.weight");
  EXPECT_EQ(name_of(Naming::llama, "model.language_model.norm.weight"), "model.norm.weight");
  EXPECT_EQ(name_of(Naming::gpt_neox, "embed_out.weight"), "lm_head.weight");
  EXPECT_EQ(name_of(Naming::gpt2, "h.0.ln_1.bias"), "transformer.h.0.ln_1.bias");
  EXPECT_EQ(name_of(Naming::gpt2, "transformer.wte.weight"), "transformer.wte.weight");
}

TEST(Parameter, LiesInItsFileAsTheFamilyWritesIt) {
  const Parameter rows{Slot::o_proj, "", {4, 3}, Role::product};
  EXPECT_EQ(rows.place_in_file(7), 7);
  Parameter transposed = rows;
  transposed.transposed = true;
  EXPECT_EQ(transposed.file_shape(), (Shape{3, 4}));
  EXPECT_EQ(transposed.place_in_file(7), 1 * 4 + 2);  // row 2, column 1
  // Two heads of two rows: q, k and v of the first, then of the second.
  Parameter by_head{Slot::qkv_proj, "", {12, 5}, Role::product};
  by_head.head_rows = 2;
  std::vector<std::int64_t> rows_in_file;
  for (std::int64_t row = 0; row < 12; ++row)
    rows_in_file.push_back(by_head.place_in_file(5 * row) / 5);
  EXPECT_EQ(rows_in_file, (std::vector<std::int64_t>{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}));
  EXPECT_EQ(by_head.place_in_file(5 * 2 + 3), 5 * 6 + 3);
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
