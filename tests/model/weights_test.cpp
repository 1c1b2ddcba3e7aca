#include "rvsweep/model/weights.hpp"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// 4 layers with biases of q, k and v, and a head of its own or not.
ModelConfig config_of_test(bool tied_head) {
  ModelConfig config = testing::tiny_config();
  config.tied_head = tied_head;
  return config;
}

std::vector<std::string> names_of(const WeightLayout& layout) {
  std::vector<std::string> names;
  for (const Parameter& parameter : layout.parameters) names.push_back(parameter.name);
  return names;
}

TEST(WeightLayout, HoldsEveryParameterOnceAndKeepsTensorsTogether) {
  const WeightLayout layout = weight_layout(config_of_test(false), at::kBFloat16);
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters_of(config_of_test(false)))
    names.push_back(parameter.name);
  EXPECT_EQ(names_of(layout), names);
  std::int64_t end = 0;
  for (const StoredParameter& parameter : layout.parameters) {
    const bool follows = parameter.name.find(".k_proj.") != std::string::npos ||
                         parameter.name.find(".v_proj.") != std::string::npos ||
                         parameter.name.find(".up_proj.") != std::string::npos;
    EXPECT_EQ(parameter.offset, follows ? end : (end + 63) / 64 * 64) << parameter.name;
    end = parameter.offset + 2 * parameter.numel();
  }
  EXPECT_EQ(end, layout.bytes);
}

TEST(WeightLayout, IsDividedIntoProductsAndTheRest) {
  const ModelConfig config = config_of_test(false);
  std::vector<std::string> names = names_of(lookups_and_vectors(config, at::kFloat));
  EXPECT_EQ(names.size(), 1u + 4 * 5 + 1);
  for (const WeightLayout& matrix : product_matrices(config, at::kFloat))
    for (const std::string& name : names_of(matrix)) names.push_back(name);
  std::vector<std::string> all = names_of(weight_layout(config, at::kFloat));
  std::ranges::sort(names);
  std::ranges::sort(all);
  EXPECT_EQ(names, all);
}

TEST(WeightLayout, GivesTheMatricesOfProductsInTheOrderOfTheirUse) {
  using Names = std::vector<std::string>;
  for (const bool tied_head : {false, true}) {
    const auto matrices = product_matrices(config_of_test(tied_head), at::kFloat);
    ASSERT_EQ(matrices.size(), 4u * 4 + 1);
    const std::string layer = "model.layers.3.";
    EXPECT_EQ(names_of(matrices[12]),
              (Names{layer + "self_attn.q_proj.weight", layer + "self_attn.k_proj.weight",
                     layer + "self_attn.v_proj.weight"}));
    EXPECT_EQ(names_of(matrices[13]), (Names{layer + "self_attn.o_proj.weight"}));
    EXPECT_EQ(names_of(matrices[14]),
              (Names{layer + "mlp.gate_proj.weight", layer + "mlp.up_proj.weight"}));
    EXPECT_EQ(names_of(matrices[15]), (Names{layer + "mlp.down_proj.weight"}));
    EXPECT_EQ(names_of(matrices[16]),
              (Names{tied_head ? "model.embed_tokens.weight" : "lm_head.weight"}));
    EXPECT_EQ(matrices[16].parameters.front().slot, Slot::head);
    for (const WeightLayout& matrix : matrices)
      EXPECT_EQ(
          matrix.bytes, 4 * [&] {
            std::int64_t numel = 0;
            for (const Parameter& parameter : matrix.parameters) numel += parameter.numel();
            return numel;
          }());
  }
}

/// float32 numbers that count the block's elements.
at::Tensor counting_block(const WeightLayout& layout) {
  return at::arange(layout.bytes / 4, at::kFloat).view(at::kByte);
}

TEST(WeightsIn, AreViewsOfEveryTensor) {
  ModelConfig config = config_of_test(false);
  config.o_bias = true;
  const WeightLayout layout = weight_layout(config, at::kFloat);
  const Weights weights = weights_in(counting_block(layout), config, layout);
  const auto offset = [&](const std::string& name) {
    return std::ranges::find(layout.parameters, name, &Parameter::name)->offset / 4;
  };
  const LayerWeights& layer = weights.layers[2];
  const auto check = [&](const at::Tensor& tensor, std::vector<std::int64_t> shape,
                         const std::string& first) {
    EXPECT_EQ(tensor.sizes(), at::IntArrayRef(shape)) << first;
    EXPECT_EQ(tensor.flatten()[0].item<float>(), static_cast<float>(offset(first))) << first;
  };
  check(weights.embedding, {64, 32}, "model.embed_tokens.weight");
  check(layer.input_norm.weight, {32}, "model.layers.2.input_layernorm.weight");
  check(layer.qkv.data, {48 + 24 + 24, 32}, "model.layers.2.self_attn.q_proj.weight");
  check(layer.qkv.bias, {48 + 24 + 24}, "model.layers.2.self_attn.q_proj.bias");
  check(layer.o.data, {32, 48}, "model.layers.2.self_attn.o_proj.weight");
  check(layer.o.bias, {32}, "model.layers.2.self_attn.o_proj.bias");
  check(layer.mlp_norm.weight, {32}, "model.layers.2.post_attention_layernorm.weight");
  check(layer.gate_up.data, {2 * 48, 32}, "model.layers.2.mlp.gate_proj.weight");
  check(layer.down.data, {32, 48}, "model.layers.2.mlp.down_proj.weight");
  check(weights.norm.weight, {32}, "model.norm.weight");
  check(weights.head.data, {64, 32}, "lm_head.weight");
}

TEST(WeightsIn, ATiedHeadIsTheEmbedding) {
  const ModelConfig config = config_of_test(true);
  const WeightLayout layout = weight_layout(config, at::kFloat);
  const Weights weights = weights_in(counting_block(layout), config, layout);
  EXPECT_TRUE(weights.head.data.is_same(weights.embedding));
}

TEST(WeightsIn, LeavesUndefinedWhatTheLayoutDoesNotHold) {
  const ModelConfig config = config_of_test(false);
  const WeightLayout layout = lookups_and_vectors(config, at::kFloat);
  const Weights weights = weights_in(counting_block(layout), config, layout);
  EXPECT_TRUE(weights.norm.weight.defined() && weights.layers[3].qkv.bias.defined());
  EXPECT_FALSE(weights.head.data.defined());
  EXPECT_FALSE(weights.layers[3].down.data.defined());
}

}  // namespace
}  // namespace rvsweep
