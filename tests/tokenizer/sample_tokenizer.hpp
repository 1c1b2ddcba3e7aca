#pragma once
// A small byte-level tokenizer.json to change at will.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/tokenizer/tokenizer.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep::sample {

/// How a byte-level vocabulary writes a byte: GPT-2's table, spelled out.
inline std::string written(unsigned char byte) {
  const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  int code_point = byte;
  if (!itself) {
    code_point = byte <= 32 ? 256 + byte : byte <= 160 ? 256 + 33 + byte - 127 : 323;
  }
  if (code_point < 128) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 63))};
}

inline std::string written(const std::string& bytes) {
  std::string token;
  for (const char byte : bytes) token += written(static_cast<unsigned char>(byte));
  return token;
}

/// Every byte b has the id b; merge number i, given in plain bytes, makes token 256 + i.
inline nlohmann::json tokenizer_json(
    const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  using nlohmann::json;
  json vocab = json::object(), list = json::array();
  for (int byte = 0; byte < 256; ++byte) vocab[written(static_cast<unsigned char>(byte))] = byte;
  for (const auto& [left, right] : merges) {
    vocab.emplace(written(left + right), vocab.size());
    list.push_back({written(left), written(right)});
  }
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  return {{"version", "1.0"},
          {"added_tokens", json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}}}};
}

inline nlohmann::json added_token(int id, const std::string& content, bool special = false) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

inline Tokenizer load(const nlohmann::json& content) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", content.dump());
  return Tokenizer::load(folder.path());
}

}  // namespace rvsweep::sample
