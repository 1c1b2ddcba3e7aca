#pragma once
// Families of regular expressions whose matches in generated text are counted, read from JSON:
// {"version": 1, "families": [{"name", "description", "patterns", "matches", "no_match"}, ...]};
// configs/readouts/regex_families.json is the shipped one and says more.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/tokenizer/regex.hpp"

namespace rvsweep {

struct RegexFamily {
  std::string name;                   // recursive_* or technical_*, a column of /rows
  std::string description;            // what the family is about
  std::string definition;             // name/version and the patterns
  std::vector<std::string> matches;   // example sentences with at least one match
  std::vector<std::string> no_match;  // example sentences with none
  std::vector<Regex> patterns;        // letter case ignored

  /// Matches of all patterns from left to right, the longer of two that begin together; one that
  /// overlaps a match taken before is not counted. `text` must be well-formed UTF-8. Throws
  /// InputError where a search exceeds PCRE2's limits.
  std::int32_t count(std::string_view text) const;
};

struct RegexFamilies {
  std::vector<RegexFamily> families;  // at least one, names unique
  std::string text;                   // the file they were read from
};

/// Reads the text of a families file; `where` names it in messages. Throws InputError for malformed
/// JSON, unknown, missing or mistyped members, a name that is not a lower-case recursive_* or
/// technical_* or comes twice, a pattern that is malformed or may match nothing, and a family that
/// contradicts its own examples.
RegexFamilies parse_regex_families(std::string text, const std::string& where);

}  // namespace rvsweep
