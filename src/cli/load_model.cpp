#include "rvsweep/cli/load_model.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/core/log.hpp"

namespace rvsweep {
namespace {

/// Every rank's host, rank on it and, from the rank that read the weights, where they are.
std::string place_and_handle(const NodePlace& place, const std::string& handle) {
  return place.host + "\n" + std::to_string(place.local_rank) + "\n" + handle;
}

/// The first rank of each machine reads, the others wait and share.
at::Tensor shared_block(const World& world, const WeightSource& source, const WeightLayout& layout,
                        int threads) {
  Communicator& communicator = world.communicator();
  NodePlace reader = world.place();
  std::optional<SharedMemory> memory;
  // The machine's other ranks only wait, so that their cores read too.
  if (reader.local_rank == 0)
    memory.emplace(load_into_memory(source, layout, threads * reader.local_size));
  reader.local_rank = 0;
  const std::string wanted = place_and_handle(reader, "");
  for (const auto& told :
       communicator.all_gather(place_and_handle(world.place(), memory ? memory->handle() : "")))
    if (!memory && told.starts_with(wanted))
      if (auto opened = SharedMemory::open(told.substr(wanted.size())))
        memory.emplace(std::move(*opened));
  communicator.barrier();  // the readers hold theirs until all have opened it
  if (memory) return block_of(*memory);
  spdlog::warn(
      "weights: read for this rank alone, because it cannot reach the memory of rank 0 of {}",
      reader.host);
  return load_block(source, layout, at::kCPU, threads);
}

at::Tensor sent_block(const World& world, const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads) {
  Communicator& communicator = world.communicator();
  std::string why_not;
  const auto nccl = Nccl::join(communicator, world.place().host, device.index(), why_not);
  if (communicator.rank() == 0) {
    if (nccl)
      spdlog::info("weights: sent to every rank by NCCL");
    else
      spdlog::warn("weights: sent to every rank by MPI, because {}", why_not);
  }
  const at::Tensor block =
      communicator.rank() == 0
          ? load_block(source, layout, device, threads)
          : at::empty({layout.bytes}, at::TensorOptions().device(device).dtype(at::kByte));
  if (nccl)
    nccl->broadcast(block.data_ptr(), block.nbytes(), /*root=*/0);
  else
    broadcast_block(communicator, block, /*root=*/0);
  return block;
}

}  // namespace

Transformer load_on_every_rank(const World& world, const ModelConfig& config,
                               const WeightSource& source, const Placement& placement,
                               int threads) {
  const auto begin = std::chrono::steady_clock::now();
  const WeightLayout layout = weight_layout(config, placement.dtype);
  const at::Device& device = placement.device;
  const at::Tensor block = world.communicator().size() == 1
                               ? load_block(source, layout, device, threads)
                           : device.is_cpu() ? shared_block(world, source, layout, threads)
                                             : sent_block(world, source, layout, device, threads);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (world.communicator().rank() == 0)
    spdlog::info("weights: {:.3f} GB {} in {:.3f} s", static_cast<double>(layout.bytes) * 1e-9,
                 source.seed ? "drawn" : "loaded", seconds.count());
  return Transformer(config, weights_in(block, config, layout), placement);
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
