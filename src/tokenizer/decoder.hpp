#pragma once
// From the texts of tokens to the text they spell.
#include <cstddef>
#include <string>
#include <vector>

#include "rvsweep/core/json_place.hpp"
#include "tokenizer/vocabulary.hpp"

namespace rvsweep {

class Decoder {
 public:
  /// From the `decoder` of tokenizer.json. Over bytes: ByteLevel. Over characters: Replace (of a
  /// text), ByteFallback, Fuse, Strip (of leading characters), or a Sequence of these. Throws
  /// InputError naming any other.
  Decoder(const JsonPlace& place, Symbols symbols);

  /// `tokens` as Vocabulary::bytes gives them.
  std::string text(std::vector<std::string> tokens) const;

 private:
  enum class Kind { byte_level, replace, byte_fallback, fuse, strip };
  struct Step {
    Kind kind;
    std::string pattern, content;  // strip takes away up to `count` times `content`
    std::size_t count = 0;
  };

  void add(const JsonPlace& place, Symbols symbols);
  static void apply(const Step& step, std::vector<std::string>& tokens);

  std::vector<Step> steps_;  // in order, each on the tokens of the one before
};

}  // namespace rvsweep
