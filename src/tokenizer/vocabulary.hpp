#pragma once
// Tokens and their ids, as the bytes they stand for.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// The bytes that `token` writes in GPT-2's table of printable characters, in which a byte-level
/// vocabulary writes its bytes ("Ġthe" is " the"); the bytes of `token` itself when it has a
/// character outside the table (an added token such as "<｜end｜>").
struct TokenBytes {
  std::string bytes;
  bool in_alphabet;
};
TokenBytes bytes_of_token(std::string_view token);

/// The character that stands for a byte in that table.
std::string_view letter_of_byte(unsigned char byte);

/// What merging begins with: the bytes of a word, which the vocabulary writes in the byte alphabet,
/// or its characters, which it writes as they are, and "<0x0A>" for a byte of a character that is
/// no token (byte_fallback).
enum class Symbols { bytes, characters };

class Vocabulary {
 public:
  /// Tokens as tokenizer.json writes them, with their ids. Throws InputError naming `where` for an
  /// id that is negative, given twice or beyond max_token_id.
  Vocabulary(const std::vector<std::pair<std::string, std::int64_t>>& tokens,
             const std::string& where, Symbols symbols = Symbols::bytes);

  Symbols symbols() const { return symbols_; }
  std::int32_t n_tokens() const { return n_tokens_; }
  /// One more than the largest id.
  std::int32_t size() const { return static_cast<std::int32_t>(bytes_.size()); }
  /// The bytes that the id stands for, or its characters; empty for an id without token.
  std::string_view bytes(std::int32_t id) const;
  /// What a token that tokenizer.json writes so stands for.
  TokenBytes parsed(std::string_view token) const;
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

  Symbols symbols_;
  std::int32_t n_tokens_ = 0;
  std::vector<std::string> bytes_;  // by id
  std::vector<Slot> slots_;         // of tokens that a word may become; a power of two
  // Tokens with other characters, as written; no merge ever gives one.
  std::unordered_map<std::string, std::int32_t> other_;
};

}  // namespace rvsweep
