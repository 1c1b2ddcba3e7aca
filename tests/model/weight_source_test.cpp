#include "rvsweep/model/weight_source.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// Exact in float32, bfloat16 and float16 alike.
float value(std::int64_t parameter, std::int64_t i) {
  return static_cast<float>((i * 7 + i / 5 + parameter * 3) % 33 - 16) / 8;
}

template <class Number>
void append(std::string& data, std::int64_t parameter, std::int64_t numel) {
  for (std::int64_t i = 0; i < numel; ++i) {
    const Number number(value(parameter, i));
    data.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
}

/// A config with a matrix that is carried in several slices.
ModelConfig config_of_test() {
  ModelConfig config = testing::tiny_config();
  config.vocab_size = 20001;
  return config;
}

class Sources : public ::testing::Test {
 protected:
  /// Parameters in turn as F32, BF16 and F16.
  void write_files() {
    nlohmann::json header;
    std::string data;
    std::int64_t parameter = 0;
    for (const auto& [name, shape] : parameter_shapes(config)) {
      const auto begin = data.size();
      std::int64_t numel = 1;
      for (const auto n : shape) numel *= n;
      const char* const dtype[] = {"F32", "BF16", "F16"};
      if (parameter % 3 == 0) append<float>(data, parameter, numel);
      if (parameter % 3 == 1) append<at::BFloat16>(data, parameter, numel);
      if (parameter % 3 == 2) append<at::Half>(data, parameter, numel);
      header[name] = {{"dtype", dtype[parameter % 3]},
                      {"shape", shape},
                      {"data_offsets", {begin, data.size()}}};
      ++parameter;
    }
    const std::string text = header.dump();
    std::string length(8, '\0');
    for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
    folder.write("config.json", "{}");
    folder.write("model.safetensors", length + text + data);
  }
  at::Tensor block(const WeightSource& source, at::ScalarType dtype, int threads) const {
    return load_block(source, weight_layout(config, dtype), at::kCPU, threads);
  }
  Weights weights(const WeightSource& source, at::ScalarType dtype) const {
    return weights_in(block(source, dtype, 2), config, weight_layout(config, dtype));
  }
  WeightSource files() const { return find_weights(folder.path(), config, std::nullopt); }
  WeightSource drawn(std::uint64_t seed) const { return find_weights(folder.path(), config, seed); }

  ModelConfig config = config_of_test();
  TemporaryFolder folder;
};

TEST_F(Sources, TheLayoutHoldsEveryParameterOnceAndKeepsProductsTogether) {
  const WeightLayout layout = weight_layout(config, at::kBFloat16);
  std::set<std::string> names;
  std::int64_t end = 0;
  std::string before;
  for (const WeightSlot& slot : layout.slots) {
    names.insert(slot.name);
    EXPECT_GE(slot.offset, end);
    const bool follows = slot.name.find(".k_proj.") != std::string::npos ||
                         slot.name.find(".v_proj.") != std::string::npos ||
                         slot.name.find(".up_proj.") != std::string::npos;
    EXPECT_TRUE(follows ? slot.offset == end : slot.offset % 64 == 0) << slot.name;
    end = slot.offset + 2 * slot.numel;
  }
  EXPECT_EQ(end, layout.bytes);
  EXPECT_EQ(names.size(), layout.slots.size());
  for (const auto& [name, shape] : parameter_shapes(config)) EXPECT_TRUE(names.contains(name));
}

TEST_F(Sources, EveryNumberArrivesFromEveryFormatInEveryFormat) {
  write_files();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const WeightLayout layout = weight_layout(config, dtype);
    const at::Tensor loaded = block(files(), dtype, 3);
    const auto shapes = parameter_shapes(config);
    for (const WeightSlot& slot : layout.slots) {
      const auto parameter = std::distance(shapes.begin(), shapes.find(slot.name));
      const auto bytes = slot.numel * static_cast<std::int64_t>(at::elementSize(dtype));
      const at::Tensor numbers =
          loaded.narrow(0, slot.offset, bytes).view(dtype).to(at::kFloat).contiguous();
      const float* data = numbers.const_data_ptr<float>();
      for (std::int64_t i = 0; i < slot.numel; ++i)
        ASSERT_EQ(data[i], value(parameter, i)) << slot.name << " " << i;
    }
  }
}

TEST_F(Sources, AFileThatBecameShorterIsNamed) {
  write_files();
  const WeightSource source = files();
  std::filesystem::resize_file(folder.path() / "model.safetensors", 3000000);
  EXPECT_TRUE(says(refusal_message([&] { block(source, at::kFloat, 3); }),
                   {"model.safetensors", "shorter"}));
}

TEST_F(Sources, DrawnNumbersAreNearlyNormal) {
  config.initializer_range = 0.05;
  const Weights w = weights(drawn(3), at::kFloat);
  const at::Tensor numbers = w.embedding.to(at::kDouble);
  const auto mean = [](const at::Tensor& x) { return x.mean().item<double>(); };
  const double n = static_cast<double>(numbers.numel());  // 640,032
  EXPECT_NEAR(mean(numbers), 0.0, 5 * 0.05 / std::sqrt(n));
  EXPECT_NEAR(mean(numbers.square()), 0.05 * 0.05, 5 * 0.05 * 0.05 * std::sqrt(2 / n));
  // A sum of four uniform numbers has the fourth moment 3 - 6/20 and ends at sqrt(12).
  EXPECT_NEAR(mean(numbers.pow(4)) / std::pow(0.05, 4), 2.7, 0.03);
  EXPECT_LE(numbers.abs().max().item<double>(), 0.05 * std::sqrt(12.0) * 1.0001);
  EXPECT_NEAR(mean(numbers.select(1, 0) * numbers.select(1, 1)), 0.0,
              5 * 0.0025 / std::sqrt(20001));
  EXPECT_TRUE(at::equal(w.norm, w.norm * 0 + 1));
  EXPECT_TRUE(at::equal(w.layers[2].input_norm, w.norm));
}

TEST_F(Sources, DrawnNumbersDependOnSeedAndNameAlone) {
  const at::Tensor one = block(drawn(3), at::kFloat, 1);
  EXPECT_TRUE(at::equal(one, block(drawn(3), at::kFloat, 4)));
  EXPECT_FALSE(at::equal(one, block(drawn(4), at::kFloat, 1)));
  const Weights w = weights(drawn(3), at::kFloat), narrow = weights(drawn(3), at::kBFloat16);
  EXPECT_FALSE(at::equal(w.layers[0].down.data, w.layers[1].down.data));
  EXPECT_TRUE(at::equal(w.layers[1].down.data.to(at::kBFloat16), narrow.layers[1].down.data));
  config.n_layers = 2;
  EXPECT_TRUE(at::equal(w.layers[1].down.data, weights(drawn(3), at::kFloat).layers[1].down.data));
}

TEST_F(Sources, TheFingerprintSeesEveryByteTheConfigAndTheSeed) {
  write_files();
  std::set<std::uint64_t> seen{model_fingerprint(files()), model_fingerprint(drawn(1)),
                               model_fingerprint(drawn(2))};
  EXPECT_TRUE(seen.contains(model_fingerprint(files())));
  folder.write("config.json", "{ }");
  seen.insert(model_fingerprint(files()));
  seen.insert(model_fingerprint(drawn(1)));
  std::fstream file(folder.path() / "model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  seen.insert(model_fingerprint(files()));
  EXPECT_EQ(seen.size(), 6u);
}

}  // namespace
}  // namespace rvsweep
