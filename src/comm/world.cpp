#include "rvsweep/comm/world.hpp"

#include <mpi.h>

#include <cmath>
#include <cstdlib>
#include <exception>

#include "comm/local_communicator.hpp"
#include "rvsweep/comm/mpi_communicator.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/host.hpp"

namespace rvsweep {
namespace {

void start_mpi() {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  if (provided < MPI_THREAD_FUNNELED)
    throw InputError("MPI", "this MPI library allows no threads beside its own",
                     "use one that offers MPI_THREAD_FUNNELED");
}

NodeRank mpi_node_rank() {
  NodeRank node{host_name()};
  MPI_Comm ranks;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &ranks);
  MPI_Comm_rank(ranks, &node.local_rank);
  MPI_Comm_size(ranks, &node.local_size);
  MPI_Comm_free(&ranks);
  return node;
}

}  // namespace

bool launched_as_mpi_rank(const std::function<const char*(const char*)>& variable) {
  // Open MPI's mpirun; srun --mpi=pmix; srun --mpi=pmi2 and MPICH-like launchers.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (variable(name) != nullptr) return true;
  const char* tasks = variable("SLURM_STEP_NUM_TASKS");
  if (variable("SLURM_PROCID") != nullptr && tasks != nullptr && std::atoi(tasks) > 1)
    throw InputError("srun",
                     "started " + std::string(tasks) +
                         " tasks without MPI, which would each run the whole sweep",
                     "use srun --mpi=pmix or mpirun");
  return false;
}

World::World()
    : exceptions_before_(std::uncaught_exceptions()), uses_mpi_(launched_as_mpi_rank(std::getenv)) {
  if (!uses_mpi_) {
    communicator_ = std::make_unique<LocalCommunicator>();
    node_.host = host_name();
    return;
  }
  start_mpi();
  communicator_ = make_mpi_communicator();
  node_ = mpi_node_rank();
}

void World::set_patience(std::optional<Seconds> limit) {
  patience_ = limit;
  communicator_->set_patience(limit);
}

World::~World() {
  if (!uses_mpi_) return;
  const bool unwinding = std::uncaught_exceptions() > exceptions_before_;
  if (unwinding && communicator_->size() > 1) communicator_->abort(1);
  communicator_.reset();
  if (patience_) alarm(static_cast<unsigned>(std::ceil(patience_->count())));
  MPI_Finalize();
  alarm(0);
}

}  // namespace rvsweep
