#pragma once
// The columns of /rows about the answers of pairs.
#include <vector>

#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// From logits where the first token is drawn.
std::vector<ColumnSpec> answer_columns();
/// From the generated text.
std::vector<ColumnSpec> answer_text_columns();

}  // namespace rvsweep
