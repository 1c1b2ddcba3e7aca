#pragma once
// What the fed token of every row may attend to, step by step: growth as attention bias.
#include <vector>

#include "rvsweep/intervention/compiled_row.hpp"
#include "rvsweep/model/kv_cache.hpp"

namespace rvsweep {

/// Columns [0, T) hold the prompt's cells, column T + t the t-th fed token (t from 0). At a patched
/// layer P, the cells of the donor, grows as the row says:
///   append    P and all fed tokens;
///   frozen    P and the token being fed;
///   compound  P counted t + 1 times (ln(t + 1) added to its logits), and all fed tokens.
class DecodeBias {
 public:
  DecodeBias(const ModelConfig& config, const Placement& placement,
             const std::vector<CompiledRow>& plans, std::int64_t prompt_columns,
             std::int64_t steps);

  /// The bias of step t; call with t = 0, 1, 2, ... in turn. [rows, 1, 1, T + steps] by class.
  const AttentionBias& at_step(std::int64_t t);

 private:
  struct LayerClass {
    at::Tensor compound_cells;  // bool [rows, 1, 1, T]: cells that count t + 1 times
    at::Tensor frozen_rows;     // bool [rows, 1, 1, 1]
    bool has_compound = false, has_frozen = false;
  };

  AttentionBias bias_;
  std::vector<LayerClass> classes_;
  std::int64_t prompt_columns_;
};

/// The biases of steps 0..queries-1 as one, for feeding so many tokens at once:
/// [rows, 1, queries, T + queries] by class, a query seeing no later one.
AttentionBias forced_bias(const ModelConfig& config, const Placement& placement,
                          const std::vector<CompiledRow>& plans, std::int64_t prompt_columns,
                          std::int64_t queries);

}  // namespace rvsweep
