#pragma once
// For tests that run alone and under mpirun: the world of this process (made in mpi_main.cpp).
#include "rvsweep/comm/world.hpp"

namespace rvsweep::testing {

World& world();

}  // namespace rvsweep::testing
