#pragma once
// The ranks this process was started with, for as long as the object lives.
#include <functional>
#include <memory>
#include <string>

#include "rvsweep/comm/communicator.hpp"

namespace rvsweep {

/// Where a rank runs.
struct NodeRank {
  std::string host;
  int local_rank = 0;  // among the ranks of this machine, in rank order: chooses the GPU
  int local_size = 1;
};

/// True where mpirun or srun started this process as a rank of an MPI job, judged by the
/// environment: starting MPI without a launcher needs its daemon, and most commands need no MPI.
/// Throws InputError where srun started several tasks that cannot find each other.
/// `variable` is std::getenv or a stand-in.
bool launched_as_mpi_rank(const std::function<const char*(const char*)>& variable);

/// How many ranks the launcher says that it started, judged by the environment; 0 where it says
/// nothing. mpirun's word counts first: it may itself run in a step of Slurm's.
int launched_ranks(const std::function<const char*(const char*)>& variable);

/// Starts MPI where a launcher asks for it (InputError where MPI offers too little, or finds fewer
/// ranks than were started, each of which would run the whole sweep), else a world
/// of one rank. One per process. When an exception leaves its scope, a world of several ranks is
/// aborted with exit code 1 so that no rank waits for this one: report the exception before that.
class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// No collective, nor the end of this world, waits longer than this for other ranks. At the end a
  /// rank that waits in vain is ended by SIGALRM, and the launcher ends the others.
  void set_patience(std::optional<Seconds> limit);

  Communicator& communicator() const { return *communicator_; }
  const NodeRank& node() const { return node_; }

 private:
  int exceptions_before_;
  bool uses_mpi_;
  std::unique_ptr<Communicator> communicator_;
  std::optional<Seconds> patience_;
  NodeRank node_;
};

}  // namespace rvsweep
