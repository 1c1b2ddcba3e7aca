#pragma once
// Read-outs of the generated texts: keywords, regex families, copying, repetition, answers
// and what is no text.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/text/answers.hpp"
#include "rvsweep/text/regex_families.hpp"

namespace rvsweep {

/// What behaviour read-outs need of one row; UTF-8.
struct TextOfRow {
  std::size_t row = 0;      // of the table
  std::string_view text;    // generated, without special tokens
  std::string_view prompt;  // the donor's prompt; of a row without donor its own
  Answer answer = {};       // to the pair's source
  bool is_cut = false;      // ends because there may be no more tokens
};

/// Fills the behaviour columns that the table has. Returns the rows with a text that a family
/// cannot be searched for in, with the reason; of their columns those before that family are
/// filled.
std::map<std::size_t, std::string> fill_behaviour(const std::vector<TextOfRow>& texts,
                                                  const std::vector<RegexFamily>& families,
                                                  ItemTable& table);

}  // namespace rvsweep
