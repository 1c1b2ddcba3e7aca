#pragma once
// Tokens that are found in the text itself, before it is cut into words.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rvsweep/core/json_place.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/vocabulary.hpp"

namespace rvsweep {

struct AddedToken {
  std::int32_t id;
  std::string content;
  bool single_word;         // only where no letter or digit touches it
  bool lstrip;              // takes the white space on its left with it
  bool rstrip;              // and on its right
  bool normalized;          // looked for after the others, in the normalized text between them
  bool special;             // left out when decoding
  std::string sought = "";  // content, normalized where `normalized`: what is found and decoded
};

/// A stretch of text: one added token, or ordinary text where `token` is nullptr.
struct Piece {
  std::string_view text;
  const AddedToken* token;
};

class AddedTokens {
 public:
  /// From the `added_tokens` of tokenizer.json (null: none). A token that the vocabulary lacks
  /// takes the next free id, counted from the vocabulary's size; throws InputError when that is not
  /// the id it states.
  AddedTokens(const JsonPlace& place, const Vocabulary& vocabulary, const Normalizer& normalizer);

  /// Cuts `text` (well-formed UTF-8) at added tokens: at the leftmost and, of those, the longest.
  /// No piece is empty. Two tokens overlap where one strips the white space the next begins with.
  /// First a whole text is cut at the tokens that are looked for as written ...
  std::vector<Piece> split_verbatim(std::string_view text) const { return split(text, verbatim_); }
  /// ... then each piece between them, normalized, at the others, normalized themselves.
  std::vector<Piece> split_normalized(std::string_view text) const {
    return split(text, normalized_);
  }

  /// nullptr where there is none.
  const AddedToken* with_id(std::int32_t id) const;
  const AddedToken* with_content(std::string_view content) const;

 private:
  /// Tokens that are looked for together: indices by first byte of `sought`, longest first.
  using Matcher = std::array<std::vector<std::size_t>, 256>;

  void build_matchers(const Normalizer& normalizer);
  /// nullptr where there is none.
  const AddedToken* longest_at_front(const Matcher& matcher, std::string_view text) const;
  std::vector<Piece> split(std::string_view text, const Matcher& matcher) const;
  bool touches_word(std::string_view before, std::string_view after) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int32_t, std::size_t> index_of_id_;  // into tokens_
  Matcher verbatim_, normalized_;
  std::optional<Pattern> word_character_;  // set when a token is single_word
};

}  // namespace rvsweep
