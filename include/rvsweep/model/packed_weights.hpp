#pragma once
// A model's parameters in a machine's memory, their matrices packed for its processor.
#include "rvsweep/model/weight_source.hpp"

namespace rvsweep {

/// Memory for the parameters of `config` in `dtype`: bytes that are enough however large the packed
/// matrices turn out to be; what they do not need is never touched.
std::size_t memory_for_weights(const ModelConfig& config, at::ScalarType dtype);

/// Reads (or draws) parameters on `threads` threads into `memory`, matrices packed where
/// can_pack(dtype). The memory begins as zeros; of the processes that fill the same shared memory
/// each takes what no other has taken, and returns when nothing is left to take. Throws InputError
/// when a file cannot be read.
void fill_weights(const WeightSource& source, const ModelConfig& config, at::ScalarType dtype,
                  int threads, std::byte* memory);

/// The parameters in memory that every process has filled. They hold on to it.
Weights weights_in_memory(const ModelConfig& config, at::ScalarType dtype,
                          std::shared_ptr<std::byte> memory);

}  // namespace rvsweep
