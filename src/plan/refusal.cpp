#include <algorithm>

#include "rvsweep/plan/plan.hpp"

namespace rvsweep {
namespace {

std::string tokens(std::int64_t n) { return std::to_string(n) + (n == 1 ? " token" : " tokens"); }

}  // namespace

std::optional<std::string> refusal_of(const ArmSpec& arm, std::int64_t n, std::int64_t m,
                                      const GenerationConfig& generation,
                                      const ModelConfig& model) {
  const bool refeeds = arm.kind == ArmKind::kv_cache && arm.entry == Entry::refeed;
  // b[n-1] and all generated tokens but the last are fed; refeed feeds b[n-1] at position n.
  const std::int64_t positions = n + generation.max_new_tokens - (refeeds ? 0 : 1);
  if (n == 0) return "the prompt is empty";
  if (positions > model.max_length())
    return "a prompt of " + tokens(n) + " and " + tokens(generation.max_new_tokens) +
           " to generate exceed the model's " + std::to_string(model.max_length()) +
           (model.sliding_window && *model.sliding_window < model.max_positions
                ? " positions of its sliding window"
                : " positions");
  if (!arm.is_patched()) return std::nullopt;
  if (m == 0) return "the donor prompt is empty";
  if (m > model.max_length())
    return "the donor prompt of " + tokens(m) + " exceeds the model's " +
           std::to_string(model.max_length()) + " positions";
  if (arm.kind == ArmKind::v_proj) {
    if (arm.window_policy == WindowPolicy::refuse && std::min(n, m) < arm.window)
      return "v_proj patches the last " + tokens(arm.window) + ", but the prompts have " +
             std::to_string(n) + " and " + std::to_string(m) + " (window_policy=shrink allows it)";
    return std::nullopt;
  }
  if (arm.align == Align::matched && n != m)
    return "align=matched needs prompts of equal length, but they have " + std::to_string(n) +
           " and " + tokens(m);
  if (m - (refeeds ? 0 : 1) == 0) return "the donor prompt has no cached position to give";
  return std::nullopt;
}

}  // namespace rvsweep
