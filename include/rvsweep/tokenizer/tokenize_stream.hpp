#pragma once
// `rvsweep tokenize`: texts to ids, or ids to texts, a line at a time.
#include <iosfwd>

#include "rvsweep/tokenizer/chat_template.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

enum class TokenizeTo {
  ids,    // texts to JSON arrays of ids, special tokens of the template included
  spans,  // texts to JSON arrays of [id, begin, end], see Tokenizer::encode_with_spans
  text,   // JSON arrays of ids to JSON strings, special tokens left out
};

/// Each line of `in` gives a line of `out`. A text is the line itself, or with `json` a JSON
/// string. Returns 0. Throws InputError naming the line that is malformed or not UTF-8, and when
/// `out` fails.
int tokenize_stream(const Tokenizer& tokenizer, std::istream& in, std::ostream& out, bool json,
                    TokenizeTo what, const ChatTemplate* chat = nullptr);

}  // namespace rvsweep
