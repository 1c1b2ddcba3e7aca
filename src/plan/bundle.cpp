#include "rvsweep/plan/bundle.hpp"

#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {

void give_reach(const std::vector<Arm>& arms, std::int64_t window, std::int64_t measured_window,
                std::int64_t tokens_after_window, BundleShape& shape) {
  shape.patched_tokens = longest_window(arms, window) + tokens_after_window;
  shape.captured_tokens =
      reach_beyond_windows(arms, window) ? shape.prompt_length : shape.patched_tokens;
  shape.measured_tokens = measured_window + tokens_after_window;
}

std::vector<std::int64_t> slot_columns(const Bundle& bundle) {
  const auto n = static_cast<std::size_t>(bundle.shape.contexts) + bundle.derived.size();
  const std::int64_t T = bundle.shape.prompt_length;
  if (!are_long(T)) return std::vector<std::int64_t>(n, T);
  std::vector<std::int64_t> columns;
  for (const BundleContext& context : bundle.contexts) columns.push_back(context.columns);
  for (const DerivedDonor& donor : bundle.derived) columns.push_back(donor.tokens);
  return columns;
}

}  // namespace rvsweep
