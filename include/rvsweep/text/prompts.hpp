#pragma once
// Prompt pairs from JSON lines: {"pair": id, "source": text, "base": text} with optional
// "source_group" and "base_group"; other keys are the user's own.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

struct Prompt {
  std::string id;     // "<pair>/source" or "<pair>/base" of the first pair that uses it
  std::string text;   // utf-8
  std::string group;  // "source" and "base" unless the line names one
};

struct PromptPair {
  std::string id;
  PromptIndex source;  // donor
  PromptIndex base;    // recipient
};

/// Equal (text, group) is one prompt, however many pairs use it.
struct PromptSet {
  std::vector<Prompt> prompts;
  std::vector<PromptPair> pairs;
  std::uint64_t fingerprint = 0;  // xxh3 of the file's bytes
};

/// Takes one prompt after the other.
using PromptSink = std::function<void(Prompt)>;

/// Throws InputError naming file:line for an unreadable or empty file, an empty or malformed line,
/// a key missing or of the wrong type, text that is not UTF-8, a pair id used twice.
PromptSet read_prompts(const std::filesystem::path& file);

/// The same, but that every prompt goes to `sink` as soon as it is read and the set has none of
/// them: a million texts take more memory than the plan of their rows.
PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink);

}  // namespace rvsweep
