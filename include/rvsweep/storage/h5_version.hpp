#pragma once
#include <string>

namespace rvsweep {

/// Version of the HDF5 library that is loaded.
std::string hdf5_version();

}  // namespace rvsweep
