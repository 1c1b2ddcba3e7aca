// Under mpirun: every rank but the last waits in a collective for the last one, which sleeps for
// long. With patience the world must end, with an exit code other than 0.
#include <chrono>
#include <exception>
#include <thread>

#include "rvsweep/comm/world.hpp"

int main() try {
  const rvsweep::World world;
  rvsweep::Communicator& communicator = world.communicator();
  communicator.set_patience(rvsweep::Seconds(1));
  if (communicator.rank() == communicator.size() - 1)
    std::this_thread::sleep_for(std::chrono::minutes(1));
  communicator.barrier();
  return 0;
} catch (const std::exception&) {
  return 3;
}
