#include "model_config/families.hpp"

#include <gtest/gtest.h>

#include <set>

namespace rvsweep {
namespace {

// What the fields do is tested where they are read: Config.TakesFromItsFamilyWhatFamiliesDifferIn.
TEST(Families, DifferInEveryField) {
  std::set<std::string> model_types, names;
  std::set<Naming> namings;
  std::set<Bias> qkv_biases, o_biases;
  std::set<Window> windows;
  std::set<QkNorm> qk_norms;
  std::set<NormKind> norms;
  std::set<std::pair<bool, bool>> places;
  std::set<bool> are_fused, are_gated, are_scaled, are_learned, are_in_float32;
  std::set<std::set<std::string>> all_honoured;
  std::set<nlohmann::json> all_defaults, all_aliases;
  for (const Family& family : all_families()) {
    const auto& [model_type, name, naming, fused, qkv_bias, o_bias, window, qk_norm, norm,
                 norms_before, norms_after, gated_mlp, scaled_embedding, learned_positions,
                 rotates_in_float32, honours, defaults, aliases] = family;  // every field
    model_types.insert(model_type);
    names.insert(name);
    qkv_biases.insert(qkv_bias);
    o_biases.insert(o_bias);
    windows.insert(window);
    qk_norms.insert(qk_norm);
    norms.insert(norm);
    places.emplace(norms_before, norms_after);
    namings.insert(naming);
    are_fused.insert(fused);
    are_gated.insert(gated_mlp);
    are_scaled.insert(scaled_embedding);
    are_learned.insert(learned_positions);
    are_in_float32.insert(rotates_in_float32);
    all_honoured.insert(honours);
    all_defaults.insert(defaults);
    all_aliases.insert(aliases);
  }
  EXPECT_EQ(model_types.size(), all_families().size());
  EXPECT_EQ(names.size(), all_families().size() - 1);  // Gemma 3 of text alone and with images
  EXPECT_GT(qkv_biases.size(), 1u);
  EXPECT_GT(o_biases.size(), 1u);
  EXPECT_GT(windows.size(), 1u);
  EXPECT_GT(qk_norms.size(), 1u);
  EXPECT_GT(norms.size(), 1u);
  EXPECT_GT(places.size(), 1u);
  EXPECT_GT(namings.size(), 1u);
  for (const auto& values : {are_fused, are_gated, are_scaled, are_learned, are_in_float32})
    EXPECT_EQ(values.size(), 2u);
  EXPECT_GT(all_honoured.size(), 1u);
  EXPECT_GT(all_defaults.size(), 1u);
  EXPECT_GT(all_aliases.size(), 1u);
}

TEST(Families, AreFoundByModelType) {
  for (const Family& family : all_families()) EXPECT_EQ(find_family(family.model_type), &family);
  EXPECT_EQ(find_family("Llama"), nullptr);
  EXPECT_EQ(find_family(""), nullptr);
}

TEST(Families, AreListedInWords) {
  EXPECT_EQ(supported_families(),
            "rvsweep runs dense Llama, Mistral, Ministral, Qwen2, Qwen3, OLMo-2, OLMo-3, Gemma 2, "
            "Gemma 3, GPT-NeoX, GPT-2 and Phi-3 models");
}

}  // namespace
}  // namespace rvsweep
