#include "rvsweep/plan/memory_budget.hpp"

#include <gtest/gtest.h>

#include "plan/known_models.hpp"

namespace rvsweep {
namespace {

TEST(Bytes, OfAKnownModel) {
  EXPECT_EQ(dtype_bytes("float32"), 4);
  EXPECT_EQ(dtype_bytes("bfloat16"), 2);
  EXPECT_EQ(dtype_bytes("float16"), 2);
  // SmolLM2-135M has 134,515,008 parameters; Llama-3-8B 8,030,261,248 and 131,072 bytes a token.
  EXPECT_EQ(weight_bytes(smollm2(), "float32"), 4 * 134515008ll);
  EXPECT_EQ(weight_bytes(smollm2(), "bfloat16"), 2 * 134515008ll);
  EXPECT_EQ(weight_bytes(llama3_8b(), "bfloat16"), 2 * 8030261248ll);
  EXPECT_EQ(kv_bytes(llama3_8b(), 1, "bfloat16"), 131072);
  EXPECT_EQ(kv_bytes(smollm2(), 10, "float32"), 2 * 30 * 192 * 10 * 4);
}

PlannedBundle bundle_of(std::int64_t contexts, std::int64_t prompt_length, std::int64_t rows) {
  PlannedBundle bundle;
  bundle.shape = {contexts, prompt_length, rows};
  return bundle;
}

TEST(MemoryBudget, IsThatOfTheLargestBundle) {
  // 131,072 bytes a cell in bfloat16: 8 rows of 120 cells, 4 prompts of 100, and 20 bytes for each
  // of 8 x 128,256 logits.
  const auto larger = bundle_of(4, 100, 8);
  const double bytes = 131072.0 * (8 * 120 + 4 * 100) + 20.0 * 8 * 128256;
  EXPECT_EQ(bundle_bytes(llama3_8b(), "bfloat16", {bundle_of(8, 8, 1), larger}, 20), bytes);
  EXPECT_EQ(bundle_bytes(llama3_8b(), "bfloat16", {}, 20), 0);
}

TEST(MemoryBudget, ATiedTableIsThereTwiceOnACpu) {
  const double once = 4.0 * 134515008, table = 4.0 * 49152 * 576;
  EXPECT_EQ(weight_memory(smollm2(), "cuda", "float32"), once);
  EXPECT_EQ(weight_memory(smollm2(), "cpu", "float32"), once + table);
  EXPECT_EQ(weight_memory(llama3_8b(), "cpu", "bfloat16"), 2.0 * 8030261248);
}

TEST(MemoryBudget, RanksOfANodeShareTheWeightsOnCoresAlone) {
  const MemoryBudget budget{10e9, 2e9};
  EXPECT_EQ(budget.ranks_on_cores(64e9), 15);  // 54 GB in shares of 2 + 1.5
  EXPECT_EQ(budget.ranks_on_cores(12e9), 0);
  EXPECT_EQ(budget.node_with_cores(15), 10e9 + 15 * 3.5e9);
  EXPECT_EQ(budget.gpu(), 14e9);
  EXPECT_EQ(budget.node_with_gpus(4), 4 * 11.5e9);
}

}  // namespace
}  // namespace rvsweep
