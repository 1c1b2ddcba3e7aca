#pragma once
// Changes to the text before it is cut into words.
#include <functional>
#include <vector>

#include "rvsweep/core/json_place.hpp"
#include "tokenizer/aligned_text.hpp"

namespace rvsweep {

class Normalizer {
 public:
  /// From the `normalizer` of tokenizer.json: null, NFC, Prepend, Replace (of a text, not of a
  /// regular expression), or a Sequence of these. Throws InputError naming any other.
  explicit Normalizer(const JsonPlace& place);

  /// An empty text stays empty.
  void apply(AlignedText& text) const;

 private:
  void add(const JsonPlace& place);

  std::vector<std::function<void(AlignedText&)>> steps_;
};

}  // namespace rvsweep
