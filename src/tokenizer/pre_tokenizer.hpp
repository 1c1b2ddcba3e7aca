#pragma once
// Cuts text into the words that byte-pair encoding works on.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/core/json_place.hpp"
#include "tokenizer/aligned_text.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/vocabulary.hpp"

namespace rvsweep {

class PreTokenizer {
 public:
  /// From the `pre_tokenizer` of tokenizer.json. Over bytes: ByteLevel, or a Sequence of Split
  /// (behavior Isolated or Removed) and Digits that ends in ByteLevel. Over characters: null (all
  /// text is one word) or Metaspace. Throws InputError naming any other component.
  PreTokenizer(const JsonPlace& place, Symbols symbols);

  /// Calls `visit` with each word in order; none is empty. `text` must be well-formed UTF-8; its
  /// origin tells whether it begins the whole text.
  void for_each_word(AlignedView text, const std::function<void(AlignedView)>& visit) const;

 private:
  /// Cuts a piece at every match of a pattern.
  struct Cut {
    Pattern pattern;
    bool keep_matches = true;  // as pieces of their own
    bool keep_between = true;  // what lies between matches
  };
  /// Spaces become `mark`, which also goes in front of a text that does not begin with it.
  struct Metaspace {
    std::string mark;
    enum { always, first, never } prepend;  // first: where the whole text begins
    bool split;                             // in front of every mark
  };

  void add_over_bytes(const JsonPlace& place);
  void add_split(const JsonPlace& place);
  void add_over_characters(const JsonPlace& place);
  void words_over_bytes(AlignedView text, const std::function<void(AlignedView)>& visit) const;
  static std::vector<AlignedView> apply(const Cut& cut, AlignedView piece);

  std::vector<Cut> cuts_;  // in order, each on the pieces of the one before
  bool has_byte_level_ = false;
  bool add_prefix_space_ = false;
  std::vector<Cut> byte_level_cut_;  // one, or none (use_regex false); made after the prefix space
  std::optional<Metaspace> metaspace_;
};

}  // namespace rvsweep
