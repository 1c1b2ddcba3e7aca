#pragma once
// Padded shapes of bundles. They are part of the arithmetic: a row's bits are a function of its
// bundle's shape and its slot, so these tables decide results and are changed only with the
// version.
#include <cstdint>
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// The padded length of a prompt of n tokens: the next multiple of 8 to 128, 32 to 512, 128
/// beyond.
std::int64_t canonical_length(std::int64_t n_tokens);

/// The padded number of rows or prompts of a batch: 1, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256,
/// ... A single row is left alone, because its arithmetic is small beside reading the weights;
/// few entries, because each is one more path through matrix products.
std::int64_t canonical_rows(std::int64_t n_rows);

/// sweep.bundle_rows = auto: a function of model shape, device type and dtype alone. The rows' keys
/// and values must fit 4 GiB at 512 columns on a CPU, 32 GiB at 1,024 on a GPU.
std::int64_t automatic_bundle_rows(const ModelConfig& config, const std::string& device,
                                   const std::string& dtype);

}  // namespace rvsweep
