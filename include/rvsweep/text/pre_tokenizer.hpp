#pragma once
// Cuts text into the words that byte-pair encoding works on.
#include <functional>
#include <string_view>
#include <vector>

#include "rvsweep/text/json_fields.hpp"
#include "rvsweep/text/pattern.hpp"

namespace rvsweep {

class PreTokenizer {
 public:
  /// From the `pre_tokenizer` of tokenizer.json: ByteLevel, or a Sequence of Split (behavior
  /// Isolated or Removed) and Digits that ends in ByteLevel. Throws InputError naming any other
  /// component.
  explicit PreTokenizer(const JsonPlace& place);

  /// Calls `visit` with each word in order; none is empty. `text` must be well-formed UTF-8.
  void for_each_word(std::string_view text,
                     const std::function<void(std::string_view)>& visit) const;

 private:
  /// Cuts a piece at every match of a pattern.
  struct Cut {
    Pattern pattern;
    bool keep_matches = true;  // as pieces of their own
    bool keep_between = true;  // what lies between matches
  };

  void add(const JsonPlace& place);
  void add_split(const JsonPlace& place);
  static std::vector<std::string_view> apply(const Cut& cut, std::string_view piece);

  std::vector<Cut> cuts_;  // in order, each on the pieces of the one before
  bool has_byte_level_ = false;
  bool add_prefix_space_ = false;
  std::vector<Cut> byte_level_cut_;  // one, or none (use_regex false); made after the prefix space
};

}  // namespace rvsweep
