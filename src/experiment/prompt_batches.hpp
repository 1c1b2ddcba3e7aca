#pragma once
// Many prompts that are read once, a batch at a time.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "experiment/prefill.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {

using PromptTokens = std::vector<std::vector<std::int32_t>>;

/// read(batch, rows, columns) for prompts in their order, which go into a cache of so many rows and
/// columns: long ones alone, others reading_rows together.
template <class Read>
void in_batches(const PromptTokens& prompts, const Read& read) {
  const auto shorter = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  for (auto at = prompts.begin(); at != prompts.end();) {
    const auto end = at + std::min<std::ptrdiff_t>(reading_rows, prompts.end() - at);
    const PromptTokens batch(at, end);
    const auto columns = canonical_length(std::ssize(*std::max_element(at, end, shorter)));
    if (!are_long(columns)) read(batch, reading_rows, columns);
    for (const auto& prompt : batch)
      if (are_long(columns)) read({prompt}, 1, std::ssize(prompt));
    at = end;
  }
}

/// visit(captures) for one batch after another: `site` at the last token of its prompts,
/// a capture for each of `layers` in their order, its values [prompts, 1, heads, dim].
void visit_last_tokens(const Transformer& model, const PromptTokens& prompts, Site site,
                       const std::vector<std::int64_t>& layers,
                       const std::function<void(const std::vector<SiteCapture>&)>& visit);

}  // namespace rvsweep
