#include "rvsweep/intervention/row_plan.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::vector<bool> layer_mask(const LayerSet& layers, std::int64_t n_layers) {
  std::vector<bool> mask(static_cast<std::size_t>(n_layers), false);
  for (const std::int64_t layer : layers) mask.at(static_cast<std::size_t>(layer)) = true;
  return mask;
}

void compile_cache_patch(const ArmSpec& arm, std::int64_t n, std::int64_t m, RowPlan& plan) {
  plan.donor_cached = arm.entry == Entry::refeed ? m : m - 1;
  plan.growth = arm.growth;
  // The donor's last cell falls on base's last one.
  if (arm.align == Align::rerotate) plan.rotate_by = n - m;
  const std::int64_t last_key_position = plan.donor_cached - 1 + plan.rotate_by;
  plan.future_keys =
      std::clamp<std::int64_t>(last_key_position - plan.first_position(), 0, plan.donor_cached);
}

}  // namespace

RowPlan compile_row(const ArmSpec& arm, const BundleRow& row,
                    const std::vector<BundleContext>& contexts, std::int64_t n_layers) {
  const auto& b = contexts.at(static_cast<std::size_t>(row.base)).tokens;
  const std::int64_t n = std::ssize(b);
  RVSWEEP_EXPECT(n > 0, "the plan refuses empty prompts");
  RowPlan plan;
  plan.base = row.base;
  plan.donor = row.donor;
  plan.first_token = b.back();
  plan.refeeds = arm.kind == ArmKind::kv_cache && arm.entry == Entry::refeed;
  plan.cached = plan.refeeds ? n : n - 1;
  if (!arm.is_patched()) return plan;

  const auto& s = contexts.at(static_cast<std::size_t>(row.donor)).tokens;
  const std::int64_t m = std::ssize(s);
  if (arm.kind == ArmKind::kv_cache) {
    plan.cache_layers = layer_mask(arm.layers, n_layers);
    compile_cache_patch(arm, n, m, plan);
    plan.neutral = plan.cached == plan.donor_cached &&
                   std::equal(s.begin(), s.begin() + plan.donor_cached, b.begin());
  } else {
    plan.v_layers = layer_mask(arm.layers, n_layers);
    plan.v_window = std::min({arm.window, n, m});
    plan.v_persist = arm.decode == Decode::persist;
    plan.neutral = s == b;
  }
  return plan;
}

}  // namespace rvsweep
