#pragma once
// Log-probabilities of prompts, as an earlier sweep stored them.
#include <cstdint>
#include <filesystem>
#include <map>

namespace rvsweep {

/// Mean log-probability per token of every prompt of a results.h5 that has one, by
/// Prompt::text_hash. InputError where the file cannot be read or was made without
/// readouts.prompt_logprob.
std::map<std::uint64_t, double> read_prompt_logprobs(const std::filesystem::path& results);

}  // namespace rvsweep
