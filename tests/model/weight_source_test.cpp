#include "rvsweep/model/weight_source.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
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
  /// Parameters in turn as F32, BF16 and F16, or all as F32.
  void write_files(bool in_turn = true) {
    nlohmann::json header;
    std::string data;
    std::int64_t i = 0;
    for (const Parameter& parameter : parameters_of(config)) {
      const auto begin = data.size();
      const char* const dtype[] = {"F32", "BF16", "F16"};
      const auto type = in_turn ? i % 3 : 0;
      if (type == 0) append<float>(data, i, parameter.numel());
      if (type == 1) append<at::BFloat16>(data, i, parameter.numel());
      if (type == 2) append<at::Half>(data, i, parameter.numel());
      header[name_of(parameter.name)] = {{"dtype", dtype[type]},
                                         {"shape", parameter.shape},
                                         {"data_offsets", {begin, data.size()}}};
      ++i;
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
  WeightSource files() { return find_weights(folder.path(), config, std::nullopt); }
  WeightSource drawn(std::uint64_t seed) { return find_weights(folder.path(), config, seed); }

  ModelConfig config = config_of_test();
  std::function<std::string(const std::string&)> name_of = [](const auto& name) { return name; };
  TemporaryFolder folder;
};

TEST_F(Sources, EveryNumberArrivesFromEveryFormatInEveryFormat) {
  write_files();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const WeightLayout layout = weight_layout(config, dtype);
    const at::Tensor loaded = block(files(), dtype, 3);
    for (std::int64_t p = 0; p < std::ssize(layout.parameters); ++p) {
      const StoredParameter& parameter = layout.parameters[p];
      const auto bytes = parameter.numel() * static_cast<std::int64_t>(at::elementSize(dtype));
      const at::Tensor numbers =
          loaded.narrow(0, parameter.offset, bytes).view(dtype).to(at::kFloat).contiguous();
      const float* data = numbers.const_data_ptr<float>();
      for (std::int64_t i = 0; i < parameter.numel(); ++i)
        ASSERT_EQ(data[i], value(p, i)) << parameter.name << " " << i;
    }
  }
}

TEST_F(Sources, FilesOfABaseModelLeaveOutThePrefix) {
  write_files();
  const at::Tensor usual = block(files(), at::kFloat, 1);
  name_of = [](const std::string& name) {
    return name.starts_with("model.") ? name.substr(6) : name;
  };
  write_files();
  EXPECT_TRUE(at::equal(block(files(), at::kFloat, 1), usual));
}

TEST_F(Sources, ATiedEmbeddingMayHaveTheHeadsName) {
  name_of = [](const std::string& name) {
    return name == "model.embed_tokens.weight" ? "lm_head.weight" : name;
  };
  config.tied_head = true;
  write_files();
  const at::Tensor renamed = block(files(), at::kFloat, 1);
  name_of = [](const std::string& name) { return name; };
  write_files();
  EXPECT_TRUE(at::equal(block(files(), at::kFloat, 1), renamed));
  config.tied_head = false;
  EXPECT_TRUE(says(refusal_message([&] { files(); }), {"lm_head.weight"}));
}

TEST_F(Sources, AHeadThatDiffersFromTheEmbeddingItIsTiedToIsKept) {
  write_files(/*in_turn=*/false);
  config.tied_head = true;
  files();
  EXPECT_FALSE(config.tied_head);
  drawn(1);
  const Parameter embedding = parameters_of(config).front(), head = parameters_of(config).back();
  std::fstream file(folder.path() / "model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  const auto index = files().files;
  config.tied_head = true;
  std::string bytes(index.at(embedding.name).end - index.at(embedding.name).begin, '\0');
  ASSERT_EQ(index.at(head.name).end - index.at(head.name).begin, bytes.size());
  file.seekg(static_cast<std::streamoff>(index.at(embedding.name).begin));
  file.read(bytes.data(), std::ssize(bytes));
  file.seekp(static_cast<std::streamoff>(index.at(head.name).begin));
  file.write(bytes.data(), std::ssize(bytes));
  file.close();
  files();
  EXPECT_TRUE(config.tied_head);
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
  EXPECT_TRUE(at::equal(w.norm.weight, at::ones_like(w.norm.weight)));
  EXPECT_TRUE(at::equal(w.layers[2].input_norm.weight, w.norm.weight));
  EXPECT_TRUE(at::equal(w.layers[2].mlp_norm.weight, w.norm.weight));
  EXPECT_TRUE(at::equal(w.layers[2].qkv.bias, w.layers[2].qkv.bias * 0));
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
  const ModelFingerprint usual = model_fingerprint(files(), "c");
  EXPECT_EQ(model_fingerprint(files(), "c").digest, usual.digest);
  std::set<std::uint64_t> seen{usual.digest};
  for (const char* config : {"c", "d"})
    for (const std::uint64_t seed : {1, 2})
      seen.insert(model_fingerprint(drawn(seed), config).digest);
  seen.insert(model_fingerprint(files(), "d").digest);
  std::fstream file(folder.path() / "model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);  // of the head
  file.put('\x7f');
  file.close();
  const ModelFingerprint changed = model_fingerprint(files(), "c");
  seen.insert(changed.digest);
  EXPECT_EQ(seen.size(), 7u);
  ASSERT_EQ(changed.tensors.size(), 8 * files().files.size());
  EXPECT_NE(changed.tensors.substr(0, 8), usual.tensors.substr(0, 8));  // lm_head.weight
  EXPECT_EQ(changed.tensors.substr(8), usual.tensors.substr(8));
}

}  // namespace
}  // namespace rvsweep
