#pragma once
// Directions that were made elsewhere.
#include <cstdint>
#include <filesystem>
#include <vector>

namespace rvsweep {

/// "direction" [n_layers, dim] of a safetensors file (F32) or, by any other name than
/// *.safetensors, of an HDF5 file (numbers of any type). Row-major. Throws InputError naming the
/// file: not readable, no such dataset, another shape, a value that is not finite.
std::vector<float> read_direction(const std::filesystem::path& file, std::int64_t n_layers,
                                  std::int64_t dim);

}  // namespace rvsweep
