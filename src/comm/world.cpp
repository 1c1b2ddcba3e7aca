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

[[noreturn]] void refuse_apart(const std::string& launcher, int ranks) {
  throw InputError(launcher,
                   "started " + std::to_string(ranks) +
                       " tasks without MPI, which would each run the whole sweep",
                   "use srun --mpi=pmix or mpirun of the Open MPI that rvsweep was built with");
}

int number_in(const char* text) { return text == nullptr ? 0 : std::atoi(text); }

/// `launched`: ranks that the launcher started; asked before, because MPI sets such variables too.
void start_mpi(int launched) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  if (provided < MPI_THREAD_FUNNELED)
    throw InputError("MPI", "this MPI library allows no threads beside its own",
                     "use one that offers MPI_THREAD_FUNNELED");
  int found = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &found);
  if (found >= launched) return;
  MPI_Finalize();
  refuse_apart("the launcher", launched);
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
  if (const int ranks = launched_ranks(variable); ranks > 1) refuse_apart("srun", ranks);
  return false;
}

int launched_ranks(const std::function<const char*(const char*)>& variable) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const int ranks = number_in(variable(name)); ranks > 0) return ranks;
  return variable("SLURM_PROCID") == nullptr ? 0 : number_in(variable("SLURM_STEP_NUM_TASKS"));
}

World::World()
    : exceptions_before_(std::uncaught_exceptions()), uses_mpi_(launched_as_mpi_rank(std::getenv)) {
  if (!uses_mpi_) {
    communicator_ = std::make_unique<LocalCommunicator>();
    node_.host = host_name();
    return;
  }
  start_mpi(launched_ranks(std::getenv));
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
