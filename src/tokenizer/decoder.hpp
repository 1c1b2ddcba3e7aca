#pragma once
// From the texts of tokens to the text they spell.
#include <functional>
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
  void add(const JsonPlace& place, Symbols symbols);

  // In order, each on the tokens of the one before.
  std::vector<std::function<void(std::vector<std::string>&)>> steps_;
};

}  // namespace rvsweep
