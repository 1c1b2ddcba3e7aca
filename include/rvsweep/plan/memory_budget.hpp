#pragma once
// Memory that a sweep takes, in bytes: what `plan` prints and refuses, what a machine's plan is
// made of and what ends a GPU's bundles, whose shapes it decides: it changes only together with the
// version.
#include <cstdint>
#include <string>

#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/bundle_needs.hpp"

namespace rvsweep {

/// Bytes of one element.
std::int64_t dtype_bytes(const std::string& dtype);

/// Bytes of keys and values of one row over `columns` cells in every layer.
std::int64_t kv_bytes(const ModelConfig& config, std::int64_t columns, const std::string& dtype);

/// Bytes of all parameters.
std::int64_t weight_bytes(const ModelConfig& config, const std::string& dtype);

/// Bytes of the weights as they lie in memory. On a CPU a tied embedding table is there twice: as a
/// table, and packed as the head.
double weight_memory(const ModelConfig& config, const std::string& device,
                     const std::string& dtype);

/// The most that the tensors of one bundle take at once.
struct BundleMemory {
  double contexts = 0;     // prompts and derived donors: caches, recorded sites, logits
  double rows = 0;         // the rows' caches and first logits
  double temporaries = 0;  // what is made beside them in the phase that takes most
  std::string phase;       // prefill, prompt_logprob, patches, decoding, ...
  double total() const { return contexts + rows + temporaries; }
};

/// The sum of what experiment/bundle_runner.cpp holds, phase by phase, and of the temporaries of
/// the device's operations.
BundleMemory bundle_memory(const BundleNeeds& needs, const BundleShape& shape,
                           std::int64_t derived);

/// BundleShape::rows_at_once on a GPU: the most, of canonical_rows, for which a pass over prompts
/// of so many columns, or over their rows, takes a sixteenth of `device_memory`; at least 1.
std::int64_t rows_at_once(const BundleNeeds& needs, std::int64_t prompt_length,
                          double device_memory);

/// What a rank, a GPU or a node needs.
struct MemoryBudget {
  double weights = 0;   // weight_memory
  BundleMemory bundle;  // the largest

  /// What a rank on cores holds beside tensors: its libraries and code, and the gaps that
  /// allocators leave between tensors. Measured as resident memory, tests/perf/long_prompts.py.
  double cores_overhead() const;
  /// What a GPU holds beside tensors: CUDA's context and workspaces, and those gaps. Assumed, not
  /// measured.
  double gpu_overhead() const;
  /// Of one rank on cores, and of a GPU that computes as one rank.
  double cores() const;
  double gpu() const;
  /// Ranks for which a node of `bytes` has the memory; one copy of the weights serves them all.
  std::int64_t ranks_on_cores(double bytes) const;
  /// Of a node, whose ranks compute on its cores, or each on a GPU: they pass the weights on.
  double node_with_cores(std::int64_t ranks) const;
  double node_with_gpus(std::int64_t ranks) const;
};

}  // namespace rvsweep
