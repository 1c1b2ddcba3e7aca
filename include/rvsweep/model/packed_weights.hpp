#pragma once
// A model's parameters in a machine's memory, their matrices laid out for its processor.
#include "rvsweep/kernels/matrix.hpp"
#include "rvsweep/model/weight_source.hpp"

namespace rvsweep {

/// In which form a machine keeps parameters.
struct WeightForm {
  at::ScalarType dtype;         // of lookups and vectors, and of activations
  MatrixFormat format;          // of the matrices of products
  at::ScalarType matrix_dtype;  // theirs: dtype, or bfloat16 where a float32 run reads them from
                                // bfloat16 files and tiles hold them
};

/// The fastest form that this processor has for the model (fastest_format).
WeightForm weight_form(const WeightSource& source, const ModelConfig& config, at::ScalarType dtype);

/// Bytes for the parameters of `config`. Upper bound; the unused tail costs address space, not
/// memory.
std::size_t memory_for_weights(const ModelConfig& config, const WeightForm& form);

/// Reads (or draws) parameters on `threads` threads into `memory`. It begins as zeros; of the
/// processes that fill the same shared memory each takes what no other has taken, and returns when
/// nothing is left to take. Throws InputError when a file cannot be read.
void fill_weights(const WeightSource& source, const ModelConfig& config, const WeightForm& form,
                  int threads, std::byte* memory);

/// The parameters in memory that every process has filled. They hold on to it.
Weights weights_in_memory(const ModelConfig& config, const WeightForm& form,
                          std::shared_ptr<std::byte> memory);

}  // namespace rvsweep
