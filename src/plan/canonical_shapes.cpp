#include "rvsweep/plan/canonical_shapes.hpp"

#include <algorithm>

#include "rvsweep/plan/memory_budget.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t few_tokens = 128, longest_short = 512;  // columns
constexpr std::int64_t kv_budget = std::int64_t{4} << 30;      // bytes

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

std::int64_t canonical_length(std::int64_t n) {
  if (n <= few_tokens) return round_up(n < 1 ? 1 : n, 8);
  if (!are_long(n)) return round_up(n, 32);
  std::int64_t power = longest_short;
  while (power * 2 < n) power *= 2;
  return round_up(n, power / 4);
}

bool are_long(std::int64_t columns) { return columns > longest_short; }

std::int64_t canonical_rows(std::int64_t n) {
  if (n <= 1) return 1;
  if (n <= 32) return round_up(n, 8);
  std::int64_t power = 32;
  while (power * 2 <= n) power *= 2;
  if (n == power) return power;
  return n <= power + power / 2 ? power + power / 2 : power * 2;
}

std::int64_t padded_prompts(std::int64_t n, std::int64_t columns) {
  return columns > few_tokens ? n : canonical_rows(n);
}

std::int64_t padded_rows(std::int64_t n, std::int64_t columns) {
  return are_long(columns) ? n : canonical_rows(n);
}

std::int64_t prefilled_on_cpu(std::int64_t columns) {
  constexpr std::int64_t group = 8, tokens = 1280;
  return std::max(tokens / columns / group * group, group);
}

std::int64_t most_long_rows(const ModelConfig& config, std::int64_t columns) {
  return std::max(kv_budget / kv_bytes(config, columns, "float32"), least_bundle_rows);
}

std::int64_t automatic_bundle_rows(const ModelConfig& config, const std::string& device,
                                   const std::string& dtype) {
  if (device == "cuda") return 256;
  std::int64_t rows = 128;
  while (rows > 8 && rows * kv_bytes(config, longest_short, dtype) > kv_budget) rows /= 2;
  return rows;
}

}  // namespace rvsweep
