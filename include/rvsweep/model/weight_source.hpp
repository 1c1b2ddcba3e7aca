#pragma once
// Where a model's parameters come from, and how they get into its block of memory.
#include <cstddef>
#include <filesystem>
#include <optional>

#include "rvsweep/model/weights.hpp"
#include "rvsweep/model_config/safetensors.hpp"

namespace rvsweep {

struct WeightSource {
  std::filesystem::path folder;
  TensorIndex files;                  // empty for drawn weights
  std::optional<std::uint64_t> seed;  // of drawn weights
  double initializer_range = 0.02;    // standard deviation of drawn weights
};

/// The safetensors files of `folder`, their headers checked against `config`; or, with a seed,
/// weights that are drawn. Throws InputError as read_safetensors_index and check_tensors do.
WeightSource find_weights(const std::filesystem::path& folder, const ModelConfig& config,
                          std::optional<std::uint64_t> seed);

/// xxh3 over config.json and every weight byte, in order of tensor name, or over config.json and
/// the seed: the model's identity.
std::uint64_t model_fingerprint(const WeightSource& source);

/// Reads (or draws) every parameter of the layout once on `threads` threads, converts it to
/// layout.dtype and writes it to `into` [layout.bytes]. Throws InputError when a file cannot be
/// read. Drawn weights: norms 1, biases 0, all else nearly normal with mean 0; a parameter's
/// numbers depend on seed and name alone, whatever the machine.
void read_parameters(const WeightSource& source, const WeightLayout& layout, int threads,
                     std::byte* into);

/// The whole layout as a block in the memory of `device`, uint8 [layout.bytes].
at::Tensor load_block(const WeightSource& source, const WeightLayout& layout,
                      const at::Device& device, int threads);

}  // namespace rvsweep
