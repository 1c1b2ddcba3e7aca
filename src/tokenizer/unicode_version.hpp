#pragma once
// Makes the class of every character that of one Unicode version, whichever version the installed
// PCRE2 knows (it must know Unicode 13 or later).
#include <string>
#include <string_view>

namespace rvsweep {

/// Unicode 16 decides in the regular expressions of Hugging Face's tokenizers 0.23 (its Oniguruma),
/// Unicode 17 in its own character tests (its Rust).
enum class UnicodeVersion { v16, v17 };

/// `text` (well-formed UTF-8) with every character whose general category is new or changed since
/// Unicode 13 replaced by an old one that has, in every version, the category `version` gives it.
/// Lengths and offsets in bytes stay the same.
std::string with_stand_ins(std::string_view text, UnicodeVersion version);

}  // namespace rvsweep
