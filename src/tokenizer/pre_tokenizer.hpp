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
  /// From the `pre_tokenizer` of tokenizer.json. Over bytes: ByteLevel, or a Sequence of it and, in
  /// front of it or after it, Split, Digits and Punctuation. Over characters: null (all text is one
  /// word), Split, Digits, Punctuation and Metaspace, or a Sequence of these that Metaspace ends.
  /// Throws InputError naming any other component.
  PreTokenizer(const JsonPlace& place, Symbols symbols);

  /// Calls `visit` with each word in order; none is empty. `text` must be well-formed UTF-8; its
  /// origin tells whether it begins the whole text.
  void for_each_word(AlignedView text, const std::function<void(AlignedView)>& visit) const;

 private:
  enum class Behavior { isolated, removed, contiguous, merged_with_previous, merged_with_next };
  /// Cuts a piece where a pattern begins and ends to match.
  struct Cut {
    std::function<std::vector<Span>(std::string_view)> matches;
    Behavior behavior = Behavior::isolated;
    bool invert = false;       // what lies between is taken for matches, and matches for between
    bool in_alphabet = false;  // it sees bytes as the characters of GPT-2's table
  };
  /// Spaces become `mark`, which also goes in front of a text that does not begin with it.
  struct Metaspace {
    std::string mark;
    enum { always, first, never } prepend;  // first: where the whole text begins
    bool split;                             // in front of every mark
  };

  void add(const JsonPlace& place, Symbols symbols);
  void add_cut(Cut cut);
  void add_split(const JsonPlace& place);
  void add_byte_level(const JsonPlace& place);
  void add_metaspace(const JsonPlace& place);
  static Behavior behavior_of(const JsonPlace& place);
  static std::vector<Span> cut_at(const Cut& cut, std::string_view text);
  static std::vector<AlignedView> pieces_of(const std::vector<Cut>& cuts, AlignedView text);
  void visit_bytes(AlignedView piece, const std::function<void(AlignedView)>& visit) const;
  void visit_marked(AlignedView piece, const std::function<void(AlignedView)>& visit) const;

  std::vector<Cut> cuts_;  // in order, each on the pieces of the one before
  bool has_byte_level_ = false;
  bool add_prefix_space_ = false;     // to each piece that cuts_ leave
  std::vector<Cut> byte_level_cuts_;  // ByteLevel's own and those that follow it
  std::optional<Metaspace> metaspace_;
};

}  // namespace rvsweep
