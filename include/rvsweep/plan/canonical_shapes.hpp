#pragma once
// Padded shapes of bundles and sizes of batches. They are part of the arithmetic: a row's bits are
// a function of its bundle's shape and its slot, so these numbers decide results and are changed
// only with the version. Beside them stand the formats of kernels/matrix.hpp.
#include <cstdint>
#include <string>

#include "rvsweep/model_config/model_config.hpp"

namespace rvsweep {

/// The padded length of a prompt of n tokens: the next multiple of 8 to 128, 32 to 512, beyond of a
/// quarter of the power of 2 below n.
std::int64_t canonical_length(std::int64_t n_tokens);

/// Whether prompts padded to so many columns are long: padding costs more than the passes that it
/// saves, so each goes through the model alone in columns of its own, and no row is padded.
bool are_long(std::int64_t columns);

/// The padded number of rows or short prompts of a batch: 1, 8, 16, 24, 32, 48, 64, 96, 128, 192,
/// ... A single row is left alone, because its arithmetic is small beside reading the weights; few
/// entries, because each is one more path through matrix products.
std::int64_t canonical_rows(std::int64_t n_rows);

/// Slots for n prompts of so many columns. Beyond 128 columns none is padded: a few prompts keep
/// the processor busy, and a slot costs as much as a prompt.
std::int64_t padded_prompts(std::int64_t n_prompts, std::int64_t columns);

/// The padded number of rows beside prompts of so many columns.
std::int64_t padded_rows(std::int64_t n_rows, std::int64_t columns);

/// max_length of the notebook: what its presets and `reencode` cut a text to, in tokens.
inline constexpr std::int64_t notebook_truncation = 512;

/// Prompts averaged (mean control) and texts read again (`reencode`) go through the model in
/// batches of so many, padded.
inline constexpr std::int64_t reading_rows = 8;

/// Prompts of `columns` padded tokens that a CPU prefills together, at most: whole groups of 8 with
/// about 1,280 tokens, so that what a layer makes of them stays in the processor's cache.
std::int64_t prefilled_on_cpu(std::int64_t columns);

/// Rows of long prompts that a CPU makes ready together.
inline constexpr std::int64_t long_rows_at_once = 8;

/// Rows of long prompts that a CPU's bundle holds at most: as many as 4 GiB hold keys and values in
/// float32, at least 8.
std::int64_t most_long_rows(const ModelConfig& config, std::int64_t columns);

/// Prompts that readouts.state_distance compares with, at most.
inline constexpr std::int64_t most_natural_prompts = 256;

/// Rows whose KL is computed together, in float64 over the whole vocabulary.
inline constexpr std::int64_t kl_rows = 8;

/// Positions of a prompt whose logits are computed together, in float64 over the whole vocabulary.
inline constexpr std::int64_t logprob_columns = 64;

/// What sweep.bundle_rows may be set to, at least.
inline constexpr std::int64_t least_bundle_rows = 8;

/// sweep.bundle_rows = auto: a function of model shape, device type and dtype alone. On a CPU the
/// rows' keys and values must fit 4 GiB at 512 columns; on a GPU run.device_memory ends a bundle
/// before.
std::int64_t automatic_bundle_rows(const ModelConfig& config, const std::string& device,
                                   const std::string& dtype);

}  // namespace rvsweep
