#include "rvsweep/plan/memory_budget.hpp"

#include <gtest/gtest.h>

#include "plan/known_models.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

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

/// Base alone, 20 tokens, as little read out as can be.
BundleNeeds least_needs(const std::string& device) {
  SweepConfig config;
  config.generation.max_new_tokens = 20;
  config.readouts.first_token = false;
  return bundle_needs(llama3_8b(), config, {Arm{}}, 0, device, "bfloat16");
}

TEST(BundleMemory, HoldsTheCachesOfContextsAndRows) {
  // 131,072 bytes a cell in bfloat16, and float32 logits of 128,256 tokens for each row.
  const BundleMemory memory = bundle_memory(least_needs("cuda"), {4, 100, 8}, 2);
  EXPECT_EQ(memory.contexts, 131072.0 * (4 + 2) * 100);
  EXPECT_EQ(memory.rows, 131072.0 * 8 * 120 + 4.0 * 8 * 128256);
  EXPECT_GT(memory.temporaries, 0);
}

TEST(BundleMemory, CountsPromptsThatShareAPassAndNotTheOthers) {
  const auto temporaries = [](std::int64_t contexts, std::int64_t at_once) {
    return bundle_memory(least_needs("cuda"), {contexts, 512, 1, at_once, at_once}, 0).temporaries;
  };
  EXPECT_EQ(temporaries(64, 8), temporaries(128, 8));
  EXPECT_GT(temporaries(64, 0), 7 * temporaries(64, 8));
}

TEST(BundleMemory, OfLongPromptsGrowsWithTheirTokensAlone) {
  const auto memory = [](std::int64_t n) {
    return bundle_memory(least_needs("cpu"),
                         {.contexts = 2,
                          .prompt_length = 16384,
                          .rows = 1,
                          .slot_columns = n + 16,
                          .longest = n,
                          .scratch = n},
                         0);
  };
  const BundleMemory once = memory(8000), twice = memory(16000);
  EXPECT_EQ(once.contexts, 131072.0 * 8016);
  const double prefill_once = once.temporaries + once.rows,
               prefill_twice = twice.temporaries + twice.rows;
  EXPECT_NEAR(prefill_twice / prefill_once, 2, 0.3);
}

TEST(RowsAtOnce, TakeASixteenthOfAGpuAndAtLeastOne) {
  const BundleNeeds needs = least_needs("cuda");
  std::int64_t before = 0;
  for (const double memory : {1e9, 24e9, 80e9, 141e9}) {
    const auto rows = rows_at_once(needs, 512, memory);
    EXPECT_GE(rows, std::max<std::int64_t>(before, 1));
    EXPECT_EQ(canonical_rows(rows), rows);
    const BundleMemory of_pass = bundle_memory(needs, {rows, 512, 0, rows, rows}, 0);
    if (rows > 1) {
      EXPECT_LE(of_pass.temporaries, memory / 16);
    }
    before = rows;
  }
  EXPECT_EQ(rows_at_once(needs, 512, 1e9), 1);
}

TEST(MemoryBudget, ATiedTableIsThereTwiceOnACpu) {
  const double once = 4.0 * 134515008, table = 4.0 * 49152 * 576;
  EXPECT_EQ(weight_memory(smollm2(), "cuda", "float32"), once);
  EXPECT_EQ(weight_memory(smollm2(), "cpu", "float32"), once + table);
  EXPECT_EQ(weight_memory(llama3_8b(), "cpu", "bfloat16"), 2.0 * 8030261248);
}

TEST(MemoryBudget, RanksOfANodeShareTheWeightsOnCoresAlone) {
  const MemoryBudget budget{10e9, {.contexts = 0.5e9, .rows = 1e9, .temporaries = 0.5e9}};
  EXPECT_EQ(budget.cores(), 10e9 + 2.35e9);    // 2 GB of tensors and 5 %, 0.25 GB of the program
  EXPECT_EQ(budget.ranks_on_cores(64e9), 20);  // 54 GB in shares of 2.35 + 0.25
  EXPECT_EQ(budget.ranks_on_cores(12e9), 0);
  EXPECT_NEAR(budget.node_with_cores(20), 10e9 + 20 * 2.6e9, 1);
  EXPECT_EQ(budget.gpu_overhead(), 2.1e9);
  EXPECT_EQ(budget.gpu(), 14.1e9);
  EXPECT_EQ(budget.node_with_gpus(4), 4 * 11.5e9);
}

}  // namespace
}  // namespace rvsweep
