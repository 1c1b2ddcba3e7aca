#pragma once
// The ranks of an MPI job. MPI itself stays out of this header.
#include <memory>
#include <string>

#include "rvsweep/comm/communicator.hpp"

namespace rvsweep {

/// All ranks of MPI_COMM_WORLD. MPI is initialised before and finalised after it (World does both);
/// every rank makes it at the same time. An MPI error ends the job with MPI's own message.
std::unique_ptr<Communicator> make_mpi_communicator();

/// Name and version of the MPI library; MPI need not have been started.
std::string mpi_library_version();

}  // namespace rvsweep
