#pragma once
// Decoding UTF-8 that may be ill-formed.
#include <cstddef>
#include <string>
#include <string_view>

namespace rvsweep::utf8 {

struct Step {
  char32_t code_point;  // U+FFFD where ill-formed
  std::size_t size;     // bytes, at least 1; of an ill-formed sequence its longest part that could
                        // begin a character
  bool well_formed;
};

/// The first character of `text`, which must not be empty. Surrogates and overlong forms are
/// ill-formed.
Step first(std::string_view text);

/// Offset of the first ill-formed byte, or npos.
std::size_t first_ill_formed(std::string_view text);

/// `bytes` with U+FFFD for every ill-formed sequence, cut as Unicode recommends (one per maximal
/// subpart).
std::string replace_ill_formed(std::string_view bytes);

/// What a file holds, or its beginning, without UTF-8's byte order mark. Throws InputError of
/// `where` for UTF-16, by its mark.
std::string_view without_mark(std::string_view text, const std::string& where);

/// The 25 characters with the Unicode property White_Space.
bool is_white_space(char32_t code_point);

}  // namespace rvsweep::utf8
