#include "plan/refusal.hpp"

#include <algorithm>

namespace rvsweep {
namespace {

std::string tokens(std::int64_t n) { return std::to_string(n) + (n == 1 ? " token" : " tokens"); }

/// What is wrong with the cells that a kv_cache arm would write.
std::optional<std::string> cell_refusal(const ArmSpec& arm, std::int64_t n, std::int64_t m,
                                        const std::vector<std::int32_t>& keyword_tokens) {
  const auto lengths = std::to_string(n) + " and " + tokens(m);
  if (arm.align == Align::matched && n != m)
    return "align=matched needs prompts of equal length, but they have " + lengths;
  const bool whole = arm.what == What::kv && arm.heads.empty() && arm.alpha == 1;
  if (arm.positions.kind == PositionsKind::all && !whole && n != m)
    return "positions=all with what, heads or alpha other than kv, all and 1 needs prompts of "
           "equal length, but they have " +
           lengths;
  const std::int64_t held = arm.entry == Entry::refeed ? 0 : 1;
  if (m - held == 0) return "the donor prompt has no cached position to give";
  if (map_cells(arm.positions, n - held, m - held, keyword_tokens).cells.empty())
    return "positions=" + format_positions(arm.positions) + " selects no cell of prompts with " +
           lengths;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> refusal_of(const ArmSpec& arm, const RowLengths& lengths,
                                      const std::vector<std::int32_t>& keyword_tokens,
                                      const GenerationConfig& generation,
                                      const ModelConfig& model) {
  if (!arm.refusal.empty()) return arm.refusal;
  const auto [n, m, n_window, m_window] = lengths;
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
  if (arm.kind == ArmKind::site) {
    if (arm.window_policy == WindowPolicy::refuse && std::min(n_window, m_window) < arm.window)
      return kind_name(arm) + " patches the last " + tokens(arm.window) +
             ", but the prompts have " + std::to_string(n_window) + " and " +
             std::to_string(m_window) + (n_window < n ? " up to the user's last" : "") +
             " (window_policy=shrink allows it)";
    return std::nullopt;
  }
  return cell_refusal(arm, n, m, keyword_tokens);
}

}  // namespace rvsweep
