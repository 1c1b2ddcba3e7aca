#pragma once
// What the query that the first token is drawn from attends to.
#include "experiment/decode.hpp"
#include "rvsweep/plan/result_table.hpp"

namespace rvsweep {

/// Of a pass that fed one token of each row into `column`, behind the prompts' cells, and captured
/// `queries`: attention on the first cell that is seen, on those that patches have written, on
/// others of the prompt, on the fed token's own, and the entropy of all; means over the query heads
/// of a KV head, float32 [rows, 5, queries.size(), n_kv_heads]. Scores are computed in float32.
at::Tensor attention_measures(const ModelConfig& config, const std::vector<CompiledRow>& plans,
                              const LayerVisibility& seen, const std::vector<QueryCapture>& queries,
                              const KvCache& cache, std::int64_t column);

/// attention_* of every row; `layers` are those of the queries.
void fill_attention(const DecodedBatch& batch, const std::vector<std::int64_t>& layers,
                    ItemTable& table);

}  // namespace rvsweep
