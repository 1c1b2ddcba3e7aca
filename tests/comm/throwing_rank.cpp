// Under mpirun: the last rank throws while the others wait for it in a barrier. The world must end,
// with an exit code other than 0; a separate program because it takes its whole MPI job along.
#include <exception>
#include <stdexcept>

#include "rvsweep/comm/world.hpp"

int main() try {
  const rvsweep::World world;
  rvsweep::Communicator& communicator = world.communicator();
  if (communicator.rank() == communicator.size() - 1) throw std::runtime_error("thrown on purpose");
  communicator.barrier();
  return 0;
} catch (const std::exception&) {
  return 3;
}
