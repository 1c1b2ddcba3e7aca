#pragma once
// Read-outs of the generated texts: keywords, regex families, copying and repetition.
#include <string_view>
#include <vector>

#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/text/regex_families.hpp"

namespace rvsweep {

/// What behaviour read-outs need of one row; UTF-8.
struct TextOfRow {
  std::string_view text;    // generated, without special tokens
  std::string_view prompt;  // the donor's prompt; of a row without donor its own
};

/// Fills the behaviour columns that the table has for its item `row`. Throws InputError where a
/// family cannot be searched for in the text; the columns before it are filled then.
void fill_behaviour(const TextOfRow& of_row, const std::vector<RegexFamily>& families,
                    std::size_t row, ItemTable& table);

}  // namespace rvsweep
