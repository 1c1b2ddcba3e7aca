#pragma once
// The one notion of a word that the read-outs share.
#include <string>
#include <string_view>
#include <vector>

namespace rvsweep {

/// The words of a text in order, lower-cased (A to Z): maximal runs of letters, digits, apostrophes
/// and bytes beyond ASCII.
std::vector<std::string> words(std::string_view text);

/// A to Z lower-cased, all other bytes as they are.
std::string ascii_lower(std::string_view text);

}  // namespace rvsweep
