#include "rvsweep/plan/memory_budget.hpp"

#include <algorithm>

#include "rvsweep/model_config/parameters.hpp"

namespace rvsweep {
namespace {

constexpr double logit_bytes = 5 * 4;    // float32: itself and what is made of it
constexpr double rank_overhead = 1.5e9;  // libraries, plan, buffers
constexpr double gpu_reserve = 2e9;      // context and workspace

}  // namespace

std::int64_t dtype_bytes(const std::string& dtype) { return dtype == "float32" ? 4 : 2; }

std::int64_t kv_bytes(const ModelConfig& config, std::int64_t columns, const std::string& dtype) {
  return 2 * config.n_layers * config.kv_dim() * columns * dtype_bytes(dtype);
}

std::int64_t weight_bytes(const ModelConfig& config, const std::string& dtype) {
  std::int64_t elements = 0;
  for (const Parameter& parameter : parameters_of(config)) elements += parameter.numel();
  return elements * dtype_bytes(dtype);
}

double weight_memory(const ModelConfig& config, const std::string& device,
                     const std::string& dtype) {
  const bool twice = device == "cpu" && config.tied_head;
  const auto table = config.vocab_size * config.hidden_size * dtype_bytes(dtype);
  return static_cast<double>(weight_bytes(config, dtype) + (twice ? table : 0));
}

double bundle_bytes(const ModelConfig& config, const std::string& dtype,
                    const std::vector<PlannedBundle>& bundles, std::int64_t new_tokens) {
  double most = 0;
  for (const PlannedBundle& bundle : bundles) {
    const auto& [contexts, prompt_length, rows] = bundle.shape;
    const auto cells = rows * kv_bytes(config, prompt_length + new_tokens, dtype) +
                       contexts * kv_bytes(config, prompt_length, dtype);
    const auto logits = static_cast<double>(rows * config.vocab_size);
    most = std::max(most, static_cast<double>(cells) + logit_bytes * logits);
  }
  return most;
}

double MemoryBudget::gpu() const { return weights + bundle + gpu_reserve; }

std::int64_t MemoryBudget::ranks_on_cores(double bytes) const {
  return static_cast<std::int64_t>((bytes - weights) / (bundle + rank_overhead));
}

double MemoryBudget::node_with_cores(std::int64_t ranks) const {
  return weights + static_cast<double>(ranks) * (bundle + rank_overhead);
}

double MemoryBudget::node_with_gpus(std::int64_t ranks) const {
  return static_cast<double>(ranks) * (weights + rank_overhead);
}

}  // namespace rvsweep
