// Weights on a device that all ranks share. Run alone and under mpirun.
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <gtest/gtest.h>

#include "experiment/study.hpp"
#include "rvsweep/kernels/upload.hpp"
#include "rvsweep/sweep/load_model.hpp"
#include "support/mpi_world.hpp"
#include "support/test_device.hpp"

namespace rvsweep {
namespace {

const at::Device device = testing::test_device(1);

TEST(OnDevice, EveryRankHoldsTheWeightsThatRank0Reads) {
  WeightSource source;
  source.seed = 5;
  const ModelConfig config = testing::tiny_config();
  const c10::DeviceGuard guard(device);
  const auto load = [&](const Placement& placement) {
    return load_on_every_rank(testing::world(), config, source, placement, 2);
  };
  const auto logits = [](const Transformer& model) {
    return testing::logits_of(model, testing::some_tokens(20, 1)).to(at::kCPU);
  };
  EXPECT_TRUE(at::allclose(logits(load({device})), logits(load({})), 1e-5, 1e-5));
  const auto embedded = [](const Transformer& model) {
    const at::Tensor tokens = at::arange(model.config().vocab_size);
    return model.embed(tokens.to(model.placement().device)).to(at::kCPU);
  };
  EXPECT_TRUE(at::equal(embedded(load({device, at::kBFloat16})),
                        embedded(load({at::kCPU, at::kBFloat16}))));
}

TEST(OnDevice, ABlockIsFilledWhileTheRangeBeforeIsCopied) {
  const c10::DeviceGuard guard(device);
  const std::vector<ByteRange> ranges{{0, 700}, {768, 64}, {832, 500}, {1400, 900}, {2300, 1}};
  const auto filled = [&](const at::Tensor& block) {
    block.zero_();
    fill_ranges(block, ranges, [&](std::size_t i, std::byte* into) {
      std::fill_n(into, ranges[i].bytes, static_cast<std::byte>(i + 1));
    });
    return block.to(at::kCPU);
  };
  at::Tensor expected = at::zeros({2400}, at::kByte);
  for (std::size_t i = 0; i < ranges.size(); ++i)
    expected.narrow(0, ranges[i].first, ranges[i].bytes).fill_(static_cast<std::int64_t>(i + 1));
  EXPECT_TRUE(at::equal(filled(at::empty({2400}, at::kByte)), expected));
  EXPECT_TRUE(at::equal(filled(at::empty({2400}, expected.options().device(device))), expected));
}

TEST(OnDevice, WeightsArriveInFewLargePiecesAndTheirBits) {
  WeightSource source;
  source.seed = 5;
  ModelConfig config = testing::tiny_config();
  config.vocab_size = 600'000;  // of 32 elements, and twice: 147 MiB, three pieces
  const WeightLayout layout = weight_layout(config, at::kFloat);
  const c10::DeviceGuard guard(device);
  const auto before = testing::device_counts();
  const at::Tensor block = load_block(source, layout, device, 2);
  const auto counts = testing::device_counts() - before;
  EXPECT_EQ(counts.to_device, 3);
  EXPECT_LE(counts.synchronisations, 3);
  const at::Tensor loaded = block.to(at::kCPU), read = load_block(source, layout, at::kCPU, 1);
  for (const StoredParameter& parameter : layout.parameters) {
    const auto of = [&](const at::Tensor& all) {
      return all.narrow(0, parameter.offset, parameter.numel() * 4);
    };
    EXPECT_TRUE(at::equal(of(loaded), of(read))) << parameter.name;
  }
}

TEST(OnDevice, ABroadcastCarriesMoreThanOnePiece) {
  Communicator& communicator = testing::world().communicator();
  const std::int64_t bytes = (64 << 20) + 4099;
  const int root = communicator.size() - 1;
  const at::Tensor expected =
      at::arange(251, at::kByte).repeat({bytes / 251 + 1}).narrow(0, 0, bytes);
  const c10::DeviceGuard guard(device);
  const at::Tensor block =
      (communicator.rank() == root ? expected : at::zeros({bytes}, at::kByte)).to(device);
  broadcast_block(communicator, block, root);
  EXPECT_TRUE(at::equal(block.to(at::kCPU), expected));
}

}  // namespace
}  // namespace rvsweep
