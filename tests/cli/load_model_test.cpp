// Run alone (a world without MPI) and under mpirun.
#include "rvsweep/cli/load_model.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "support/mpi_world.hpp"
#include "support/tiny_transformer.hpp"

namespace rvsweep {
namespace {

/// Inodes of the shared memory that this process has mapped now.
std::set<std::string> mapped_inodes() {
  std::set<std::string> inodes;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:rvsweep-weights") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string address, mode, offset, device, inode;
    fields >> address >> mode >> offset >> device >> inode;
    inodes.insert(inode);
  }
  return inodes;
}

TEST(LoadModel, RanksOfAMachineMapTheSameMemory) {
  const World& world = testing::world();
  const ModelConfig config = testing::tiny_config();
  WeightSource source;
  source.seed = 5;
  EXPECT_TRUE(mapped_inodes().empty());
  const Transformer model = load_on_every_rank(world, config, source, Placement{}, 1);
  const auto mine = mapped_inodes();
  if (world.communicator().size() == 1) {
    EXPECT_TRUE(mine.empty());  // nobody to share with
  } else {
    ASSERT_EQ(mine.size(), 1u);
    const auto all = world.communicator().all_gather(*mine.begin());
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 1u);
  }

  const WeightLayout layout = weight_layout(config, at::kFloat);
  const Weights alone = weights_in(load_block(source, layout, at::kCPU, 1), config, layout);
  const at::Tensor every_token = at::arange(config.vocab_size, at::kLong).unsqueeze(0);
  EXPECT_TRUE(at::equal(model.embed(every_token)[0], alone.embedding));
}

TEST(LoadModel, ABroadcastCarriesMoreThanOnePiece) {
  Communicator& communicator = testing::world().communicator();
  const std::int64_t bytes = (64 << 20) + 4099;
  const int root = communicator.size() - 1;
  const at::Tensor expected = (at::arange(bytes, at::kInt) % 251).to(at::kByte);
  const at::Tensor block =
      communicator.rank() == root ? expected.clone() : at::zeros({bytes}, at::kByte);
  broadcast_block(communicator, block, root);
  EXPECT_TRUE(at::equal(block, expected));
}

}  // namespace
}  // namespace rvsweep
