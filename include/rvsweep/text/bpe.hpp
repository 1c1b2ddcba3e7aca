#pragma once
// Byte-level byte-pair encoding of one word.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rvsweep/text/merge_table.hpp"
#include "rvsweep/text/vocabulary.hpp"

namespace rvsweep {

struct BpeSettings {
  /// Merges as tokenizer.json writes them, first to last.
  std::vector<std::pair<std::string, std::string>> merges = {};
  /// A word that is itself a token becomes that token, whatever the merges say (Llama 3).
  bool ignore_merges = false;
  /// Token for a byte without token of its own; such bytes are dropped where it is not set.
  std::optional<std::string> unknown = std::nullopt;
  /// One unknown token for several such bytes in a row.
  bool fuse_unknown = false;
};

class Bpe {
 public:
  /// Throws InputError naming `where` for a merge of, or into, a token that is not in the
  /// vocabulary, and for an unknown token that is needed and not there. `vocabulary` must outlive
  /// it.
  Bpe(const Vocabulary& vocabulary, const BpeSettings& settings, const std::string& where);

  /// Appends the ids of one word (any bytes). Takes n log n steps for n bytes.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  const Vocabulary& vocabulary_;
  MergeTable merges_;
  std::array<std::int32_t, 256> id_of_byte_;  // -1 where there is none
  std::int32_t unknown_id_ = -1;
  bool ignore_merges_;
  bool fuse_unknown_;
};

}  // namespace rvsweep
