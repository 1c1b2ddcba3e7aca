#pragma once
// `rvsweep tokenize`: texts to ids, or ids to texts, a line at a time.
#include <iosfwd>

#include "rvsweep/text/tokenizer.hpp"

namespace rvsweep {

/// Encoding: each line of `in` is a text, with `json` a JSON string; each line of `out` the JSON
/// array of its ids, special tokens of the template included. Decoding: the other way, JSON arrays
/// to JSON strings (so `json` changes nothing), special tokens left out. Returns 0. Throws
/// InputError naming the line that is malformed or not UTF-8, and when `out` fails.
int tokenize_stream(const Tokenizer& tokenizer, std::istream& in, std::ostream& out, bool json,
                    bool decode);

}  // namespace rvsweep
