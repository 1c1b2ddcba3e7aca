#include "rvsweep/model/packed_weights.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/model/linear.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// Sizes that fill no block of a layout whole, biases, and a head of its own or not.
ModelConfig config_of_test(bool tied_head) {
  ModelConfig config = testing::tiny_config();
  config.tied_head = tied_head;
  config.qkv_bias = true;
  return config;
}

WeightSource drawn() {
  WeightSource source;
  source.seed = 11;
  return source;
}

Weights plain(const ModelConfig& config, at::ScalarType dtype) {
  const WeightLayout layout = weight_layout(config, dtype);
  return weights_in(load_block(drawn(), layout, at::kCPU, 1), config, layout);
}

/// Products of a batch with every matrix, and the parameters that are not packed.
std::vector<at::Tensor> uses(const Weights& weights, at::ScalarType dtype, bool with_library) {
  std::vector<at::Tensor> results{weights.embedding, weights.norm};
  at::manual_seed(1);
  const auto times = [&](const at::Tensor& matrix, std::int64_t columns, const at::Tensor& bias) {
    const at::Tensor x = at::randn({5, 3, columns}).to(dtype);
    results.push_back(with_library ? at::linear(x, matrix, bias) : project(x, matrix, bias));
  };
  const auto H = weights.norm.size(0);
  for (const LayerWeights& layer : weights.layers) {
    results.push_back(layer.input_norm);
    times(layer.qkv_proj, H, layer.qkv_bias);
    times(layer.o_proj, layer.o_proj.size(1), layer.o_bias);
    times(layer.gate_up_proj, H, {});
    times(layer.down_proj, layer.down_proj.size(1), {});
  }
  times(weights.head, H, {});
  return results;
}

void expect_close(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                  double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const at::Tensor difference = (a[i].to(at::kDouble) - b[i].to(at::kDouble)).abs();
    EXPECT_LE(difference.max().item<double>(),
              tolerance * (1 + b[i].to(at::kDouble).abs().max().item<double>()))
        << i;
  }
}

TEST(PackedWeights, ProductsAreThoseOfThePlainMatrices) {
  for (const bool tied_head : {false, true})
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      if (!can_pack(dtype)) GTEST_SKIP() << "this processor or libtorch packs no matrices";
      const ModelConfig config = config_of_test(tied_head);
      const auto memory = private_memory(memory_for_weights(config, dtype));
      fill_weights(drawn(), config, dtype, 2, memory.get());
      const Weights packed = weights_in_memory(config, dtype, memory);
      EXPECT_TRUE(packed.layers[1].down_proj.is_mkldnn());
      EXPECT_TRUE(packed.head.is_mkldnn());
      expect_close(uses(packed, dtype, false), uses(plain(config, dtype), dtype, true),
                   dtype == at::kFloat ? 1e-6 : 1e-2);
    }
}

TEST(PackedWeights, WhatOneHasFilledAnotherFindsDone) {
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf}) {  // packed, and as they are
    const ModelConfig config = config_of_test(true);
    const SharedMemory memory(memory_for_weights(config, dtype));
    const auto first = memory.map();
    const auto second = SharedMemory::open(memory.handle())->map();
    fill_weights(drawn(), config, dtype, 1, first.get());
    fill_weights({}, config, dtype, 1, second.get());  // would fail, had it anything to read
    make_read_only(second.get(), memory.size());
    const auto a = uses(weights_in_memory(config, dtype, first), dtype, false);
    const auto b = uses(weights_in_memory(config, dtype, second), dtype, false);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
  }
}

TEST(PackedWeights, HoldTheirMemory) {
  const ModelConfig config = config_of_test(false);
  auto memory = private_memory(memory_for_weights(config, at::kFloat));
  fill_weights(drawn(), config, at::kFloat, 1, memory.get());
  const std::weak_ptr<std::byte> seen = memory;
  {
    const Weights weights = weights_in_memory(config, at::kFloat, std::move(memory));
    EXPECT_FALSE(seen.expired());
  }
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace rvsweep
