#include "rvsweep/intervention/compiled_row.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::vector<bool> mask_of(const std::vector<std::int64_t>& chosen, std::int64_t size, bool empty) {
  std::vector<bool> mask(static_cast<std::size_t>(size), chosen.empty() && empty);
  for (const std::int64_t i : chosen) mask.at(static_cast<std::size_t>(i)) = true;
  return mask;
}

/// The donor of a row: its slot, length and, where its cells are those of a prompt, its tokens.
struct Donor {
  std::int32_t slot = -1;
  std::int64_t m = 0, m_after = 0;
  const std::vector<std::int32_t>* tokens = nullptr;
  bool shuffled = false;
};

Donor donor_of(const BundleRow& row, const Bundle& bundle, std::int64_t derived_slot) {
  const auto place = static_cast<std::size_t>(row.donor);
  const auto n_contexts = bundle.contexts.size();
  if (place < n_contexts) {
    const BundleContext& context = bundle.contexts[place];
    return {row.donor, std::ssize(context.tokens), context.tokens_after_window, &context.tokens};
  }
  const DerivedDonor& derived = bundle.derived.at(place - n_contexts);
  Donor donor{static_cast<std::int32_t>(derived_slot + place - n_contexts), derived.tokens};
  donor.shuffled = derived.derivation == Derivation::shuffled;
  if (derived.of >= 0) donor.m_after = bundle.contexts.at(derived.of).tokens_after_window;
  if (donor.shuffled) donor.tokens = &bundle.contexts.at(derived.of).tokens;
  return donor;
}

/// Whether every written cell holds what base has there: a cell follows from its token and all
/// before it, at layer 0 from its token alone. `shuffled`: only the donor's first cell is its own.
bool writes_equal_cells(const CompiledRow& plan, const std::vector<std::int32_t>& b,
                        const std::vector<std::int32_t>& s, bool shuffled) {
  const bool only_layer_0 = plan.n_layers_patched() == 1 && plan.cache_layers.front();
  std::int64_t prefix = 0;
  for (const Cell& cell : plan.cells) {
    const bool same_place = cell.donor + plan.rotate_by == cell.base || !plan.writes_k;
    const bool in_base = cell.base >= 0 && cell.base < std::ssize(b);
    if (only_layer_0 && !shuffled) {
      if (!same_place || !in_base || s[cell.donor] != b[cell.base]) return false;
      continue;
    }
    if (cell.donor != cell.base || (shuffled && cell.donor > 0)) return false;
    prefix = std::max(prefix, cell.donor + 1);
  }
  return std::equal(s.begin(), s.begin() + prefix, b.begin());
}

void compile_cache_patch(const ArmSpec& arm, const BundleRow& row, CompiledRow& plan) {
  plan.donor_cached = arm.entry == Entry::refeed ? plan.m : plan.m - 1;
  plan.growth = arm.growth;
  plan.writes_k = arm.what != What::v;
  plan.writes_v = arm.what != What::k;
  plan.replaces = arm.positions.kind == PositionsKind::all;
  CellMap map = map_cells(arm.positions, plan.cached, plan.donor_cached, row.keyword_tokens);
  plan.cells = std::move(map.cells);
  plan.cells_dropped = map.dropped;
  // The donor's last cell falls on base's last one.
  if (arm.align == Align::rerotate && !arm.positions.left_aligned())
    plan.rotate_by = plan.n - plan.m;
  if (!plan.writes_k) return;
  plan.future_keys = std::count_if(plan.cells.begin(), plan.cells.end(), [&](const Cell& cell) {
    return cell.donor + plan.rotate_by > plan.first_position();
  });
}

}  // namespace

std::optional<std::int64_t> CompiledRow::donor_token(std::int64_t i) const {
  const std::int64_t end = n - n_after, donor_end = m - m_after;
  if (i >= n) return persist ? std::optional(donor_end - 1) : std::nullopt;
  if (i < end - window || i >= end) return std::nullopt;
  return i - end + donor_end;
}

std::int64_t CompiledRow::first_site_layer() const {
  return std::find(site_layers.begin(), site_layers.end(), true) - site_layers.begin();
}

std::int64_t CompiledRow::n_layers_patched() const {
  const auto& layers = cache_layers.empty() ? site_layers : cache_layers;
  return std::count(layers.begin(), layers.end(), true);
}

std::int64_t CompiledRow::n_heads_written() const {
  return std::count(heads.begin(), heads.end(), true);
}

CompiledRow compile_row(const ArmSpec& arm, const BundleRow& row, const Bundle& bundle,
                        std::int64_t derived_slot, const ModelConfig& config) {
  const auto& b = bundle.contexts.at(static_cast<std::size_t>(row.base)).tokens;
  RVSWEEP_EXPECT(!b.empty(), "the plan refuses empty prompts");
  CompiledRow plan;
  plan.base = row.base;
  plan.n = std::ssize(b);
  plan.n_after = bundle.contexts[static_cast<std::size_t>(row.base)].tokens_after_window;
  plan.first_token = b.back();
  plan.refeeds = arm.kind == ArmKind::kv_cache && arm.entry == Entry::refeed;
  plan.cached = plan.refeeds ? plan.n : plan.n - 1;
  if (!arm.is_patched()) return plan;

  const Donor donor = donor_of(row, bundle, derived_slot);
  plan.donor = donor.slot;
  plan.m = donor.m;
  plan.m_after = donor.m_after;
  plan.alpha = arm.alpha;
  plan.heads = mask_of(arm.heads, site_heads(arm.site, config), /*empty=*/true);
  plan.neutral = arm.alpha == 0 || donor.slot == plan.base;
  if (arm.kind == ArmKind::kv_cache) {
    plan.cache_layers = mask_of(arm.layers, config.n_layers, false);
    compile_cache_patch(arm, row, plan);
    if (donor.tokens != nullptr)
      plan.neutral |= writes_equal_cells(plan, b, *donor.tokens, donor.shuffled);
  } else {
    plan.site_layers = mask_of(arm.layers, config.n_layers, false);
    plan.site = arm.site;
    plan.window = std::min({arm.window, plan.n - plan.n_after, plan.m - plan.m_after});
    plan.persist = arm.decode == Decode::persist;
    if (donor.tokens != nullptr) plan.neutral |= *donor.tokens == b;
  }
  return plan;
}

}  // namespace rvsweep
