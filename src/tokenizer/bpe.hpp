#pragma once
// Byte-pair encoding of one word, from its bytes or from its characters.
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/aligned_text.hpp"
#include "tokenizer/merge_table.hpp"
#include "tokenizer/vocabulary.hpp"

namespace rvsweep {

struct BpeSettings {
  /// Merges as tokenizer.json writes them, first to last.
  std::vector<std::pair<std::string, std::string>> merges = {};
  /// A word that is itself a token becomes that token, whatever the merges say (Llama 3).
  bool ignore_merges = false;
  /// Token for a byte without token of its own; such bytes are dropped where it is not set. Over
  /// characters every byte has one, so it stays unused.
  std::optional<std::string> unknown = std::nullopt;
  /// One unknown token for several such bytes in a row.
  bool fuse_unknown = false;
};

class Bpe {
 public:
  /// Throws InputError naming `where` for a merge of, or into, a token that is not in the
  /// vocabulary, for an unknown token that is needed and not there, and over characters for a byte
  /// without token "<0x0A>". `vocabulary` must outlive it.
  Bpe(const Vocabulary& vocabulary, const BpeSettings& settings, const std::string& where);

  /// Appends the tokens of one word: any bytes, over characters well-formed UTF-8. Takes n log n
  /// steps for n bytes.
  void encode(AlignedView word, Encoding& encoding) const;

 private:
  struct Symbol {
    std::int32_t id;              // -1 once merged into the symbol on its left
    std::int32_t previous, next;  // -1 at the ends
    std::uint32_t begin, end;     // bytes of the word
  };

  std::vector<Symbol> symbols_of(std::string_view word) const;
  void merge(std::vector<Symbol>& symbols) const;
  void add_merged(AlignedView word, Encoding& encoding) const;

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  std::array<std::int32_t, 256> id_of_byte_;  // -1 where there is none, over bytes alone
  std::int32_t unknown_id_ = -1;
  bool ignore_merges_;
  bool fuse_unknown_;
  /// Whether merging the bytes of a token gives that token, by id: cached, as most words of a text
  /// are such tokens.
  enum class Whole : std::uint8_t { unknown, yes, no };
  mutable std::vector<std::atomic<Whole>> whole_;
};

}  // namespace rvsweep
