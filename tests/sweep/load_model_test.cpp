// Run alone (a world without MPI) and under mpirun.
#include "rvsweep/sweep/load_model.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/model/packed_weights.hpp"
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

/// After each token of the vocabulary as a prompt: [vocab, vocab].
at::Tensor logits(const Transformer& model) {
  const std::int64_t rows = model.config().vocab_size;
  KvCache cache = KvCache::allocate(model.config(), model.placement(), rows, 1);
  ForwardInput input;
  input.tokens = at::arange(rows, at::kLong).unsqueeze(1);
  input.positions = at::zeros({rows, 1}, at::kLong);
  const LayerVisibility seen =
      causal_visibility(model.config().n_layers, std::vector<std::int64_t>(rows, 1), 1);
  input.seen = &seen;
  input.last_kv_layer = model.config().n_layers;
  input.outputs = Outputs::last_query;
  return model.unembed(model.forward(input, cache));
}

TEST(LoadModel, RanksOfAMachineFillAndMapTheSameMemory) {
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

  const WeightForm form = weight_form(source, config, at::kFloat);
  const auto memory = private_memory(memory_for_weights(config, form));
  fill_weights(source, config, form, 1, memory.get());
  const Transformer alone(config, weights_in_memory(config, form, memory), Placement{});
  EXPECT_TRUE(at::equal(logits(model), logits(alone)));
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
