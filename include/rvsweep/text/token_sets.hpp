#pragma once
// Sets of vocabulary entries whose logits are compared, read from JSON: {"recursive": [words],
// "task": [words]}; configs/readouts/token_sets.json is the shipped one.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// Ascending token ids.
struct TokenSets {
  std::vector<std::int64_t> recursive, task;
};

/// A word stands for the tokens that are exactly it, with or without a space before; a word that
/// takes several tokens has none. Throws InputError naming `where` and the set: malformed JSON, a
/// set without words or without tokens, a token in both sets.
TokenSets parse_token_sets(const std::string& json, const std::string& where,
                           const Tokenizer& tokenizer);

}  // namespace rvsweep
