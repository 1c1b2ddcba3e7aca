#pragma once
// Prompt pairs and banks of prompts, from JSON lines or CSV (text/records.hpp).
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

struct Prompt {
  std::string id;    // of a bank; else "<pair>/source" or "<pair>/base" of the first pair to use it
  std::string text;  // utf-8
  std::string group;  // of listed pairs "source" and "base" unless the line names one
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
  std::uint64_t fingerprint = 0;  // xxh3 of what the file says
};

/// Prompts still to be paired, see text/pairing.hpp.
struct PromptBank {
  std::vector<Prompt> prompts;    // in the file's order, at least one
  std::uint64_t fingerprint = 0;  // xxh3 of what the file says
};

using PromptSink = std::function<void(Prompt)>;

/// Listed pairs: {"pair": id, "source": text, "base": text} with optional "source_group" and
/// "base_group". Streams the prompts to `sink`, and the set has none of them: a million texts take
/// more memory than the plan of their rows. Throws InputError naming file:line for what
/// text/records.hpp refuses, an empty pair id or one used twice, a file without pairs, a bank.
PromptSet read_prompts(const std::filesystem::path& file, const PromptSink& sink);

/// A bank: {"id", "text", "group"}, none of them empty. Throws InputError naming file:line for what
/// text/records.hpp refuses, an empty value, an id or a text of a group used twice, an id with '~'
/// (it joins the ids of a pair), a file without prompts, listed pairs.
PromptBank read_bank(const std::filesystem::path& file);

}  // namespace rvsweep
