#pragma once
// Tokens and their ids, as the bytes they stand for.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rvsweep {

class Vocabulary {
 public:
  /// Tokens as tokenizer.json writes them, with their ids. Throws InputError naming `where` for an
  /// id that is negative, given twice or beyond `max_id`.
  Vocabulary(const std::vector<std::pair<std::string, std::int64_t>>& tokens,
             const std::string& where);

  static constexpr std::int64_t max_id = 1 << 24;

  std::int32_t n_tokens() const { return n_tokens_; }
  /// One more than the largest id.
  std::int32_t size() const { return static_cast<std::int32_t>(bytes_.size()); }
  /// What the id decodes to; empty for an id without token.
  std::string_view bytes(std::int32_t id) const;
  /// The token that stands for exactly these bytes.
  std::optional<std::int32_t> id_of_bytes(std::string_view bytes) const;
  /// The token that tokenizer.json writes so.
  std::optional<std::int32_t> id_of_token(std::string_view token) const;

 private:
  /// Hash table with open addressing: loading 280,000 merges looks up three times as many tokens.
  struct Slot {
    std::uint32_t hash;
    std::int32_t id;  // -1 where free
  };

  bool insert(std::int32_t id);
  const Slot& slot_of(std::string_view bytes) const;

  std::int32_t n_tokens_ = 0;
  std::vector<std::string> bytes_;  // by id
  std::vector<Slot> slots_;         // of tokens in the byte alphabet; a power of two
  // Tokens with other characters, as written; no merge ever gives one.
  std::unordered_map<std::string, std::int32_t> other_;
};

}  // namespace rvsweep
