#include "model_config/families.hpp"

#include <gtest/gtest.h>

#include <set>

namespace rvsweep {
namespace {

// What the fields do is tested where they are read: Config.TakesFromItsFamilyWhatFamiliesDifferIn.
TEST(Families, DifferInEveryField) {
  std::set<std::string> model_types, names;
  std::set<Bias> qkv_biases, o_biases;
  std::set<Window> windows;
  std::set<bool> with_head_norms;
  std::set<std::optional<std::int64_t>> n_kv_heads, head_dims;
  for (const Family& family : all_families()) {
    const auto& [model_type, name, qkv_bias, o_bias, window, head_norms, kv_heads, head_dim] =
        family;  // every field
    model_types.insert(model_type);
    names.insert(name);
    qkv_biases.insert(qkv_bias);
    o_biases.insert(o_bias);
    windows.insert(window);
    with_head_norms.insert(head_norms);
    n_kv_heads.insert(kv_heads);
    head_dims.insert(head_dim);
  }
  EXPECT_EQ(model_types.size(), all_families().size());
  EXPECT_EQ(names.size(), all_families().size());
  EXPECT_GT(qkv_biases.size(), 1u);
  EXPECT_GT(o_biases.size(), 1u);
  EXPECT_GT(windows.size(), 1u);
  EXPECT_GT(with_head_norms.size(), 1u);
  EXPECT_GT(n_kv_heads.size(), 1u);
  EXPECT_GT(head_dims.size(), 1u);
}

TEST(Families, AreFoundByModelType) {
  for (const Family& family : all_families()) EXPECT_EQ(find_family(family.model_type), &family);
  EXPECT_EQ(find_family("Llama"), nullptr);
  EXPECT_EQ(find_family(""), nullptr);
}

TEST(Families, AreListedInWords) {
  EXPECT_EQ(supported_families(), "rvsweep runs dense Llama, Mistral, Qwen2 and Qwen3 models");
}

}  // namespace
}  // namespace rvsweep
