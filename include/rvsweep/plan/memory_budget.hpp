#pragma once
// Memory that a sweep takes, in bytes: what `plan` prints, a machine's plan is made of and
// automatic bundles are sized by.
#include <cstdint>
#include <string>
#include <vector>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {

/// Bytes of one element.
std::int64_t dtype_bytes(const std::string& dtype);

/// Bytes of keys and values of one row over `columns` cells in every layer. It sizes automatic
/// bundles, so it changes only together with the version.
std::int64_t kv_bytes(const ModelConfig& config, std::int64_t columns, const std::string& dtype);

/// Bytes of all parameters.
std::int64_t weight_bytes(const ModelConfig& config, const std::string& dtype);

/// Bytes of the weights as they lie in memory. On a CPU a tied embedding table is there twice: as a
/// table, and packed as the head.
double weight_memory(const ModelConfig& config, const std::string& device,
                     const std::string& dtype);

/// The most of any bundle: its rows' and contexts' keys and values, and the logits. Rows grow by
/// `new_tokens`.
double bundle_bytes(const ModelConfig& config, const std::string& dtype,
                    const std::vector<PlannedBundle>& bundles, std::int64_t new_tokens);

struct MemoryBudget {
  double weights = 0, bundle = 0;  // weight_memory, bundle_bytes

  /// Of a GPU that computes as one rank.
  double gpu() const;
  /// Ranks for which a node of `bytes` has the memory; one copy of the weights serves them all.
  std::int64_t ranks_on_cores(double bytes) const;
  /// Of a node, whose ranks compute on its cores, or each on a GPU: they pass the weights on.
  double node_with_cores(std::int64_t ranks) const;
  double node_with_gpus(std::int64_t ranks) const;
};

}  // namespace rvsweep
