#pragma once
// The notebook's measure_rv_on_text (section "Experiment A", used by C): R_V of a text read again.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"
#include "rvsweep/tokenizer/tokenizer.hpp"

namespace rvsweep {

/// r_v_reencoded of every row: R_V of (its prompt + " " + its text, which the table holds),
/// tokenised anew, cut at 512 tokens and read by the unpatched model. NaN where that is shorter
/// than the window or the row failed.
void fill_reencoded(const Tokenizer& tokenizer, const PreparedBundle& prepared,
                    const DecodedBatch& batch, ItemTable& table);

}  // namespace rvsweep
