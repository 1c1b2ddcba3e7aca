#include "rvsweep/cli/load_model.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "rvsweep/comm/nccl.hpp"
#include "rvsweep/core/log.hpp"
#include "rvsweep/model/packed_weights.hpp"

namespace rvsweep {
namespace {

/// Every rank's host, rank on it and, from the rank that read the weights, where they are.
std::string place_and_handle(const NodePlace& place, const std::string& handle) {
  return place.host + "\n" + std::to_string(place.local_rank) + "\n" + handle;
}

/// The first rank of each machine reads; meanwhile the others lay out the same places, and map what
/// it has read over them.
Weights shared_weights(const World& world, const ModelConfig& config, const WeightSource& source,
                       at::ScalarType dtype, int threads) {
  Communicator& communicator = world.communicator();
  const auto bytes = memory_for_weights(config, dtype);
  if (communicator.size() == 1)
    return load_weights(source, config, dtype, threads, private_memory(bytes));
  NodePlace reader = world.place();
  std::optional<SharedMemory> memory;
  std::shared_ptr<std::byte> place;
  Weights weights;
  if (reader.local_rank == 0) {
    memory.emplace(bytes);
    place = memory->map_writable();
    // The machine's other ranks soon only wait, so that their cores read too.
    weights = load_weights(source, config, dtype, threads * reader.local_size, place);
  } else {
    place = private_memory(bytes);
    weights = place_weights(config, dtype, place);
  }
  reader.local_rank = 0;
  const std::string wanted = place_and_handle(reader, "");
  bool has_numbers = memory.has_value();
  for (const auto& told :
       communicator.all_gather(place_and_handle(world.place(), memory ? memory->handle() : "")))
    if (!has_numbers && told.starts_with(wanted))
      if (const auto opened = SharedMemory::open(told.substr(wanted.size()))) {
        opened->map_over(place.get());
        has_numbers = true;
      }
  communicator.barrier();  // the readers hold theirs until all have opened it
  if (has_numbers) return weights;
  spdlog::warn(
      "weights: read for this rank alone, because it cannot reach the memory of rank 0 of {}",
      reader.host);
  return load_weights(source, config, dtype, threads, place);
}

at::Tensor sent_block(const World& world, const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads) {
  Communicator& communicator = world.communicator();
  if (communicator.size() == 1) return load_block(source, layout, device, threads);
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
  const at::Device& device = placement.device;
  const WeightLayout whole = weight_layout(config, placement.dtype);
  Weights weights =
      device.is_cpu()
          ? shared_weights(world, config, source, placement.dtype, threads)
          : weights_in(sent_block(world, source, whole, device, threads), config, whole);
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
