#include "rvsweep/sweep/load_model.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/kernels/device_error.hpp"
#include "rvsweep/model/packed_weights.hpp"
#include "rvsweep/model/weights.hpp"

namespace rvsweep {
namespace {

/// A thousand ranks join within it, and 140 GB arrive at 2 GB/s.
constexpr Seconds nccl_limit{120};

/// A rank's host, its rank there and, where it made the machine's memory, the handle of that.
std::string node_and_handle(const NodeRank& node, const std::string& handle) {
  return node.host + "\n" + std::to_string(node.local_rank) + "\n" + handle;
}

/// Memory of `bytes` that this machine's ranks share; of this rank alone where it has no other or
/// cannot reach theirs.
std::shared_ptr<std::byte> shared_memory(const World& world, std::size_t bytes) {
  Communicator& communicator = world.communicator();
  if (communicator.size() == 1) return private_memory(bytes);
  NodeRank maker = world.node();
  maker.local_rank = 0;
  std::optional<SharedMemory> memory;
  if (world.node().local_rank == 0) memory.emplace(bytes);
  const std::string wanted = node_and_handle(maker, "");
  for (const auto& told :
       communicator.all_gather(node_and_handle(world.node(), memory ? memory->handle() : "")))
    if (!memory && told.starts_with(wanted))
      if (auto opened = SharedMemory::open(told.substr(wanted.size())))
        memory.emplace(std::move(*opened));
  communicator.barrier();  // the makers hold theirs until all have opened it
  if (memory) return memory->map();
  spdlog::warn(
      "weights: read for this rank alone, because it cannot reach the memory of rank 0 of {}",
      maker.host);
  return private_memory(bytes);
}

/// The ranks of a machine read together what they share.
Weights shared_weights(const World& world, const ModelConfig& config, const WeightSource& source,
                       at::ScalarType dtype, int threads) {
  const WeightForm form = weight_form(source, config, dtype);
  const std::size_t bytes = memory_for_weights(config, form);
  const auto memory = shared_memory(world, bytes);
  fill_weights(source, config, form, threads, memory.get());
  world.communicator().barrier();
  make_read_only(memory.get(), bytes);
  return weights_in_memory(config, form, memory);
}

/// Rank 0's block on every rank.
at::Tensor sent_block(const World& world, const WeightSource& source, const WeightLayout& layout,
                      const Placement& placement, int threads) {
  Communicator& communicator = world.communicator();
  const bool is_root = communicator.rank() == 0;
  const at::TensorOptions bytes = at::TensorOptions().device(placement.device).dtype(at::kByte);
  const at::Tensor block = is_root ? load_block(source, layout, placement.device, threads)
                                   : at::empty({layout.bytes}, bytes);
  if (communicator.size() == 1) return block;
  const DeviceMemory memory{gpu_uuid(placement), block.data_ptr(), block.nbytes()};
  const auto why_not = broadcast_by_nccl(communicator, memory, /*root=*/0, nccl_limit);
  if (why_not) broadcast_block(communicator, block, /*root=*/0);
  if (is_root && why_not)
    spdlog::warn("weights: sent to every rank by MPI, because {}", *why_not);
  else if (is_root)
    spdlog::info("weights: sent to every rank by NCCL");
  return block;
}

}  // namespace

Transformer load_on_every_rank(const World& world, const ModelConfig& config,
                               const WeightSource& source, const Placement& placement,
                               int threads) {
  const auto begin = std::chrono::steady_clock::now();
  const WeightLayout whole = weight_layout(config, placement.dtype);
  Weights weights = naming_device_errors(
      placement.device, "choose a smaller dtype or GPUs with more memory that nothing else uses",
      [&] {
        return is_on_host(placement.device)
                   ? shared_weights(world, config, source, placement.dtype, threads)
                   : weights_in(sent_block(world, source, whole, placement, threads), config,
                                whole);
      });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (world.communicator().rank() == 0)
    spdlog::info("weights: {:.3f} GB {} in {:.3f} s", static_cast<double>(whole.bytes) * 1e-9,
                 source.seed ? "drawn" : "loaded", seconds.count());
  return Transformer(config, std::move(weights), placement);
}

void broadcast_block(Communicator& communicator, const at::Tensor& block, int root) {
  constexpr std::int64_t piece_bytes = 64 << 20;
  Bytes piece;
  for (std::int64_t first = 0; first < block.numel(); first += piece_bytes) {
    const at::Tensor part = block.narrow(0, first, std::min(piece_bytes, block.numel() - first));
    piece.resize(part.nbytes());
    const at::Tensor host = at::from_blob(piece.data(), part.sizes(), at::kByte);
    if (communicator.rank() == root) host.copy_(part);
    communicator.broadcast(piece, root);
    if (communicator.rank() != root) part.copy_(host);
  }
}

}  // namespace rvsweep
