#pragma once
// The model on every rank of a job: each weight file is read once per machine, or once per job.
#include "rvsweep/comm/world.hpp"
#include "rvsweep/model/transformer.hpp"
#include "rvsweep/model/weight_source.hpp"

namespace rvsweep {

/// Collective. On CPUs the ranks of a machine read the weights together and use one copy; a rank
/// that cannot reach it (ranks in separate containers) reads its own, with a warning. On GPUs rank
/// 0 reads them and sends them by NCCL where that works, else by MPI, with a warning that says why.
/// On the thread whose device is the placement's (prepare_thread). Throws DeviceError.
Transformer load_on_every_rank(const World& world, const ModelConfig& config,
                               const WeightSource& source, const Placement& placement, int threads);

/// Collective: root's bytes of `block` (uint8, any device, the same size everywhere) in every
/// rank's, through the communicator in pieces.
void broadcast_block(Communicator& communicator, const at::Tensor& block, int root);

}  // namespace rvsweep
