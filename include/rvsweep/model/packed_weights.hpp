#pragma once
// A model's parameters in a machine's memory, their matrices packed for its processor.
#include "rvsweep/core/shared_memory.hpp"
#include "rvsweep/model/weight_source.hpp"

namespace rvsweep {

/// Memory for the parameters of `config` in `dtype`: bytes that are enough however large the packed
/// matrices turn out to be; what they do not need is never touched.
std::size_t memory_for_weights(const ModelConfig& config, at::ScalarType dtype);

/// Reads (or draws) every parameter on `threads` threads into `memory`, matrices packed where
/// can_pack(dtype). What is returned, `memory` included, stays for the life of the process. Throws
/// InputError when a file cannot be read.
Weights load_weights(const WeightSource& source, const ModelConfig& config, at::ScalarType dtype,
                     int threads, std::shared_ptr<std::byte> memory);

/// The parameters at their places in `memory`, to which the memory that another process has filled
/// by load_weights is to be mapped; until then the numbers mean nothing.
Weights place_weights(const ModelConfig& config, at::ScalarType dtype,
                      std::shared_ptr<std::byte> memory);

}  // namespace rvsweep
