#pragma once
// Tokens that lie in words of a list.
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/regex.hpp"

namespace rvsweep {

/// Words of a file, one a line; lower-cased (ASCII); empty lines and what follows '#' are left out.
/// A word is a run of letters, digits, apostrophes and bytes from 0x80 on. Throws InputError naming
/// file:line for a line that is not one word, and the file where it cannot be read or has no word.
std::set<std::string> read_word_list(const std::filesystem::path& file);

/// Indices of the tokens that lie in a listed word: `spans` are the bytes of `text` that each
/// stands for (see Encoding). White space (ASCII) at a span's ends is left out first; what remains
/// must not be empty and must lie within one longest run of word characters that, lower-cased, is
/// in `words`. Ascending.
std::vector<std::int32_t> keyword_tokens(std::string_view text, std::span<const Span> spans,
                                         const std::set<std::string>& words);

}  // namespace rvsweep
