#include "rvsweep/intervention/compiled_row.hpp"

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

using Tokens = std::vector<std::int32_t>;

std::vector<bool> mask_of(const std::vector<std::int64_t>& chosen, std::int64_t size, bool empty) {
  std::vector<bool> mask(static_cast<std::size_t>(size), chosen.empty() && empty);
  for (const std::int64_t i : chosen) mask.at(static_cast<std::size_t>(i)) = true;
  return mask;
}

/// What gives to a patch of a row.
struct Giver {
  std::int32_t slot = -1;
  std::int64_t m = 0, m_after = 0;
  const Tokens* tokens = nullptr;  // of the prompt whose cells these are; null for other cells
  bool shuffled = false;           // those cells but for the first are moved
  bool last_row = false;           // the last of them stands for all
  bool zero = false;
};

Giver giver_of(const RowDonor& donor, const Bundle& bundle, std::int64_t derived_slot) {
  const auto index = static_cast<std::size_t>(donor.index);
  const auto n_contexts = bundle.contexts.size();
  if (index < n_contexts) {
    const BundleContext& context = bundle.contexts[index];
    return {donor.index, std::ssize(context.tokens), context.tokens_after_window, &context.tokens};
  }
  const DerivedDonor& derived = bundle.derived.at(index - n_contexts);
  Giver giver{static_cast<std::int32_t>(derived_slot + index - n_contexts), derived.tokens};
  giver.shuffled = derived.derivation == Derivation::shuffled;
  giver.last_row = derived.derivation == Derivation::last_row;
  giver.zero = derived.derivation == Derivation::zero;
  if (derived.of >= 0) giver.m_after = bundle.contexts.at(derived.of).tokens_after_window;
  if (giver.shuffled || giver.last_row) giver.tokens = &bundle.contexts.at(derived.of).tokens;
  return giver;
}

bool is_only_layer_0(const std::vector<bool>& layers) {
  return layers.front() && std::ranges::count(layers, true) == 1;
}

/// Whether every written cell holds what base `b` has there: a cell follows from its token and all
/// before it, at layer 0 from its token alone.
bool writes_equal(const CompiledCachePatch& patch, const Tokens& b, const Giver& giver) {
  const Tokens& s = *giver.tokens;
  const bool only_layer_0 = is_only_layer_0(patch.layers);
  std::int64_t prefix = 0;
  for (const Cell& cell : patch.cells) {
    const bool same_position = cell.donor + patch.rotate_by == cell.base || !patch.writes_k;
    const bool in_base = cell.base >= 0 && cell.base < std::ssize(b);
    const std::int64_t token = giver.last_row ? patch.donor_cached - 1 : cell.donor;
    if (only_layer_0 && !giver.shuffled) {
      if (!same_position || !in_base || s[token] != b[cell.base]) return false;
      continue;
    }
    if (cell.donor != cell.base || token != cell.donor || (giver.shuffled && cell.donor > 0))
      return false;
    prefix = std::max(prefix, cell.donor + 1);
  }
  return std::equal(s.begin(), s.begin() + prefix, b.begin());
}

/// The same of a site's values.
bool writes_equal(const CompiledSitePatch& patch, const Tokens& b, const Giver& giver) {
  const Tokens& s = *giver.tokens;
  const bool precedes_attention = patch.site <= Site::v;
  const bool of_tokens_alone = is_only_layer_0(patch.layers) && precedes_attention;
  const auto same = [&](const Cell& cell) {
    const std::int64_t token = giver.last_row ? giver.m - 1 : cell.donor;
    return of_tokens_alone ? s[token] == b[cell.base]
                           : token == cell.donor && cell.donor == cell.base;
  };
  if (!std::ranges::all_of(patch.cells, same)) return false;
  const std::int64_t prefix = of_tokens_alone ? 0 : patch.cells.back().donor + 1;
  return std::equal(s.begin(), s.begin() + prefix, b.begin());
}

/// Base's last tokens up to the window's end and the donor's: as many as both have, at most
/// `window`.
std::vector<Cell> window_cells(std::int64_t window, std::int64_t base_end, std::int64_t donor_end) {
  std::vector<Cell> cells;
  for (std::int64_t d = std::min({window, base_end, donor_end}); d > 0; --d)
    cells.push_back({donor_end - d, base_end - d});
  return cells;
}

/// Whether what is written equals what was there, by design.
template <class Compiled>
bool replaces_equal(const Compiled& patch, const CompiledRow& plan, const Tokens& b,
                    const Giver& giver) {
  return patch.alpha == 0 || giver.slot == plan.base ||
         (giver.tokens != nullptr && writes_equal(patch, b, giver));
}

bool is_neutral(const CompiledCachePatch& patch, const CompiledRow& plan, const Tokens& b,
                const Giver& giver) {
  return replaces_equal(patch, plan, b, giver);
}

bool is_neutral(const CompiledSitePatch& patch, const CompiledRow& plan, const Tokens& b,
                const Giver& giver) {
  if (replaces(patch.operation)) return replaces_equal(patch, plan, b, giver);
  return patch.weight() == 0 || giver.zero;
}

CompiledSitePatch compile_site(const SiteTarget& target, const std::string& direction,
                               CompiledPatch common, const Giver& giver, const ChosenTokens& chosen,
                               const CompiledRow& plan) {
  CompiledSitePatch patch{std::move(common)};
  patch.direction = direction;
  patch.site = target.site;
  if (target.decode == Decode::persist) patch.steps = target.steps;
  patch.operation = target.operation;
  patch.amount = target.amount;
  if (!target.positions) {
    patch.cells = window_cells(target.window, plan.n - plan.n_after, patch.m - giver.m_after);
    return patch;
  }
  CellMap map = map_cells(*target.positions, plan.n, patch.m, chosen, /*replaces=*/false);
  patch.cells = std::move(map.cells);
  patch.cells_dropped = map.dropped;
  return patch;
}

CompiledCachePatch compile_cache(const CacheTarget& target, CompiledPatch common,
                                 const ChosenTokens& chosen, const CompiledRow& plan) {
  CompiledCachePatch patch{std::move(common)};
  patch.donor_cached = plan.refeeds ? patch.m : patch.m - 1;
  patch.growth = target.growth;
  patch.at_step = target.at_step;
  patch.writes_k = target.what != What::v;
  patch.writes_v = target.what != What::k;
  patch.replaces = target.positions.kind == PositionsKind::all;
  CellMap map = map_cells(target.positions, plan.cached, patch.donor_cached, chosen);
  patch.cells = std::move(map.cells);
  patch.cells_dropped = map.dropped;
  // The donor's last cell falls on base's last one, of a span on the last of its counterpart.
  if (target.align == Align::rerotate && !target.positions.left_aligned())
    patch.rotate_by = target.positions.kind == PositionsKind::named
                          ? patch.cells.back().base - patch.cells.back().donor
                          : plan.n - patch.m;
  if (!patch.writes_k) return patch;
  patch.future_keys = std::count_if(patch.cells.begin(), patch.cells.end(), [&](const Cell& cell) {
    return cell.donor + patch.rotate_by > plan.first_position() + patch.at_step;
  });
  return patch;
}

}  // namespace

std::int64_t CompiledSitePatch::first_layer() const {
  return std::ranges::find(layers, true) - layers.begin();
}

double CompiledSitePatch::weight() const {
  switch (operation) {
    case SiteOperation::replace:
    case SiteOperation::replace_on_sphere:
      return alpha;
    case SiteOperation::add:
    case SiteOperation::add_of_norm:
      return amount;
    case SiteOperation::project_out:
      return 1;
    case SiteOperation::scale:
      return amount - 1;
  }
  RVSWEEP_UNREACHABLE("an operation of no kind");
}

bool CompiledRow::patches_site(std::int64_t layer) const {
  return std::ranges::any_of(sites, [&](const auto& patch) { return patch.layers[layer]; });
}

bool CompiledRow::patches_prompt() const {
  return std::ranges::any_of(sites, [](const auto& patch) { return patch.steps.contains(0); });
}

std::int64_t CompiledRow::cells_at(std::int64_t layer, std::int64_t step) const {
  std::int64_t cells = cached;
  for (const CompiledCachePatch& patch : cache)
    if (patch.replaces && patch.layers[layer] && patch.at_step <= step) cells = patch.donor_cached;
  return cells;
}

Growth CompiledRow::growth_at(std::int64_t layer) const {
  Growth growth = Growth::append;
  for (const CompiledCachePatch& patch : cache)
    if (patch.layers[layer]) growth = patch.growth;
  return growth;
}

std::int64_t CompiledRow::reach() const {
  std::int64_t first = n;
  for (const CompiledSitePatch& patch : sites) first = std::min(first, patch.cells.front().base);
  return n - first;
}

std::int64_t CompiledRow::first_site_layer() const {
  return std::ranges::min(sites, {}, &CompiledSitePatch::first_layer).first_layer();
}

std::int64_t CompiledRow::future_keys() const {
  std::int64_t keys = 0;
  for (const CompiledCachePatch& patch : cache) keys += patch.future_keys;
  return keys;
}

std::optional<std::int64_t> CompiledRow::donor_token(const CompiledSitePatch& patch,
                                                     std::int64_t i) const {
  if (!patch.steps.contains(std::max<std::int64_t>(i - n + 1, 0))) return std::nullopt;
  if (i >= n) return patch.cells.back().donor;
  const auto cell = std::ranges::lower_bound(patch.cells, i, {}, &Cell::base);
  return cell != patch.cells.end() && cell->base == i ? std::optional(cell->donor) : std::nullopt;
}

CompiledRow compile_row(const Arm& arm, const BundleRow& row, const Bundle& bundle,
                        std::int64_t derived_slot, const ModelConfig& config) {
  const BundleContext& base = bundle.contexts.at(static_cast<std::size_t>(row.base));
  const Tokens& b = base.tokens;
  RVSWEEP_EXPECT(!b.empty(), "the plan refuses empty prompts");
  RVSWEEP_EXPECT(row.donors.size() == arm.patches.size(), "every patch of a row has its donor");
  CompiledRow plan;
  plan.base = row.base;
  plan.n = std::ssize(b);
  plan.n_after = base.tokens_after_window;
  plan.first_token = b.back();
  plan.refeeds = arm.entry == Entry::refeed;
  plan.cached = plan.refeeds ? plan.n : plan.n - 1;
  for (std::size_t p = 0; p < arm.patches.size(); ++p) {
    const Patch& patch = arm.patches[p];
    const RowDonor& donor = row.donors[p];
    const Giver giver = giver_of(donor, bundle, derived_slot);
    const auto add = [&](auto& compiled_patches, auto compiled) {
      compiled.neutral = is_neutral(compiled, plan, b, giver);
      compiled_patches.push_back(std::move(compiled));
    };
    CompiledPatch common{mask_of(patch.layers, config.n_layers, /*empty=*/false),
                         mask_of(patch.heads, heads_of(patch, config), /*empty=*/true),
                         giver.slot,
                         giver.m,
                         patch.alpha,
                         {},
                         0,
                         p};
    if (const SiteTarget* site = patch.site())
      add(plan.sites,
          compile_site(*site, patch.donor.direction, std::move(common), giver, donor.tokens, plan));
    else
      add(plan.cache, compile_cache(*patch.cache(), std::move(common), donor.tokens, plan));
  }
  return plan;
}

}  // namespace rvsweep
