#include "rvsweep/model/packed_weights.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/kernels/operations.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// Sizes that fill no block of a layout whole, or all; biases, and a head of its own or not.
ModelConfig config_of_test(bool tied_head, bool whole_blocks = false) {
  ModelConfig config = testing::tiny_config();
  config.tied_head = tied_head;
  config.qkv_bias = true;
  if (whole_blocks) {
    config.intermediate_size = 96;
    config.head_dim = 16;
  }
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
  std::vector<at::Tensor> results{weights.embedding, weights.norm.weight};
  at::manual_seed(1);
  const Operations& operations =
      with_library ? aten_operations() : operations_of({at::kCPU, dtype});
  const auto times = [&](const Matrix& matrix) {
    const at::Tensor x = at::randn({5, 3, matrix.in}).to(dtype);
    results.push_back(operations.product(x, matrix));
  };
  for (const LayerWeights& layer : weights.layers) {
    results.push_back(layer.input_norm.weight);
    for (const Matrix* matrix : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) times(*matrix);
  }
  times(weights.head);
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
    for (const bool whole_blocks : {false, true})
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const ModelConfig config = config_of_test(tied_head, whole_blocks);
        const WeightForm form = weight_form(drawn(), config, dtype);
        const auto memory = private_memory(memory_for_weights(config, form));
        fill_weights(drawn(), config, form, 2, memory.get());
        const Weights packed = weights_in_memory(config, form, memory);
        EXPECT_EQ(packed.layers[1].down.format, form.format);
        EXPECT_EQ(packed.head.format, form.format);
        expect_close(uses(packed, dtype, false), uses(plain(config, dtype), dtype, true),
                     dtype == at::kFloat ? 1e-6 : 1e-2);
      }
}

TEST(PackedWeights, TheFormFollowsProcessorAndShapes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const bool whole_blocks : {false, true}) {
      const WeightForm form = weight_form(drawn(), config_of_test(true, whole_blocks), dtype);
      EXPECT_EQ(form.format, fastest_format(dtype, whole_blocks));
      EXPECT_EQ(form.matrix_dtype, dtype);
    }
  EXPECT_EQ(weight_form(drawn(), config_of_test(true, true), at::kHalf).format, MatrixFormat::rows);
}

TEST(PackedWeights, Float32TakesMatricesOfBfloat16FilesAsTheyAre) {
  if (fastest_format(at::kFloat, true) != MatrixFormat::amx_tiles)
    GTEST_SKIP() << "this processor has no AMX";
  const ModelConfig config = config_of_test(false, true);
  WeightSource source;
  for (const Parameter& parameter : parameters_of(config))
    source.files[parameter.name] = {"", "BF16", parameter.shape};
  EXPECT_EQ(weight_form(source, config, at::kFloat).matrix_dtype, at::kBFloat16);
  source.files.at("model.norm.weight").dtype = "F32";
  EXPECT_EQ(weight_form(source, config, at::kFloat).matrix_dtype, at::kBFloat16);
  source.files.at("lm_head.weight").dtype = "F16";
  EXPECT_EQ(weight_form(source, config, at::kFloat).matrix_dtype, at::kFloat);
}

TEST(PackedWeights, WhatOneHasFilledAnotherFindsDone) {
  const std::pair<at::ScalarType, bool> cases[] = {// packed, in tiles where there is AMX, as rows
                                                   {at::kFloat, false},
                                                   {at::kFloat, true},
                                                   {at::kHalf, false}};
  for (const auto& [dtype, whole_blocks] : cases) {
    const ModelConfig config = config_of_test(true, whole_blocks);
    const WeightForm form = weight_form(drawn(), config, dtype);
    const std::size_t bytes = memory_for_weights(config, form);
    const SharedMemory memory(bytes);
    const auto first = memory.map();
    const auto second = SharedMemory::open(memory.handle())->map();
    fill_weights(drawn(), config, form, 1, first.get());
    fill_weights({}, config, form, 1, second.get());  // would fail, had it anything to read
    make_read_only(second.get(), bytes);
    const auto a = uses(weights_in_memory(config, form, first), dtype, false);
    const auto b = uses(weights_in_memory(config, form, second), dtype, false);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
  }
}

TEST(PackedWeights, HoldTheirMemory) {
  const ModelConfig config = config_of_test(false);
  const WeightForm form = weight_form(drawn(), config, at::kFloat);
  auto memory = private_memory(memory_for_weights(config, form));
  fill_weights(drawn(), config, form, 1, memory.get());
  const std::weak_ptr<std::byte> seen = memory;
  {
    const Weights weights = weights_in_memory(config, form, std::move(memory));
    EXPECT_FALSE(seen.expired());
  }
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace rvsweep
