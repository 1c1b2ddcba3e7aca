#pragma once
// Text that was changed on its way to the tokens, and what it was made from.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/regex.hpp"

namespace rvsweep {

/// Token ids and, for each, the bytes of the text that it stands for.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<Span> spans;

  void add(std::int32_t id, Span span);
};

/// A stretch of an AlignedText, which must outlive it.
struct AlignedView {
  std::string_view text;
  std::span<const Span> origin;  // of each byte of `text`, in the original text

  AlignedView substr(std::size_t begin, std::size_t size) const;
  /// The stretch that `part`, a view into `text`, is.
  AlignedView of(std::string_view part) const;
  /// What bytes [begin, end) were made from; begin < end.
  Span original(std::size_t begin, std::size_t end) const;
};

struct AlignedText {
  std::string text;
  std::vector<Span> origin;

  /// `original` itself, which lies at byte `offset` of the whole text.
  AlignedText(std::string_view original, std::size_t offset);
  explicit AlignedText(AlignedView view);

  AlignedView view() const { return {text, origin}; }
  /// Puts `added` in front; made from nothing, it has an empty origin. `text` must not be empty.
  void prepend(std::string_view added);
  /// Every occurrence of `pattern` (not empty), from the left, becomes `content`.
  void replace(std::string_view pattern, std::string_view content);
};

}  // namespace rvsweep
