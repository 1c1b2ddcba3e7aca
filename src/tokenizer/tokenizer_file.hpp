#pragma once
// tokenizer.json as read: its two large tables apart from the rest.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace rvsweep {

struct TokenizerFile {
  nlohmann::json rest;  // everything but the tables model.vocab and model.merges
  bool has_vocab = false, has_merges = false;
  std::vector<std::pair<std::string, std::int64_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
  std::uint64_t fingerprint = 0;  // xxh3 of the file's bytes
};

/// Reads `file` in one pass without building a tree of the tables (10^5 to 10^6 entries). Merges
/// may be "a b" or ["a", "b"]. Throws InputError naming the file and what is wrong where.
TokenizerFile read_tokenizer_file(const std::filesystem::path& file);

}  // namespace rvsweep
