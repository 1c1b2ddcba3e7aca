#include "plan/refusal.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

std::string tokens(std::int64_t n) { return std::to_string(n) + (n == 1 ? " token" : " tokens"); }

std::string selects_nothing(const Positions& positions, const Roles& roles,
                            const PatchDonor& donor) {
  if (positions.kind == PositionsKind::named)
    for (const auto& [found, prompt] : {std::pair(&donor.tokens.base, "the prompt"),
                                        std::pair(&donor.tokens.donor, "the donor prompt")})
      if (found->empty()) return prompt + (" has no span \"" + positions.name + "\"");
  return "positions=" + format_positions(positions) + " selects no cell of prompts with " +
         std::to_string(roles.n) + " and " + tokens(donor.m);
}

/// What hinders a patch of a site.
std::string refusal_at(const SiteTarget& site, const Patch& patch, const Arm& /*arm*/,
                       const Roles& roles, const PatchDonor& donor) {
  if (site.positions) {
    const CellMap map =
        map_cells(*site.positions, roles.n, donor.m, donor.tokens, /*replaces=*/false);
    return map.cells.empty() ? selects_nothing(*site.positions, roles, donor) : "";
  }
  if (site.window_policy == WindowPolicy::shrink ||
      std::min(roles.n_window, donor.m_window) >= site.window)
    return "";
  return kind_name(patch) + " patches the last " + tokens(site.window) + ", but the prompts have " +
         std::to_string(roles.n_window) + " and " + std::to_string(donor.m_window) +
         (roles.n_window < roles.n ? " up to the user's last" : "") +
         " (window_policy=shrink allows it)";
}

bool replaces_prompt(const CacheTarget& cache, const Patch& patch) {
  return cache.positions.kind == PositionsKind::all && cache.what == What::kv &&
         patch.heads.empty() && patch.alpha == 1;
}

/// What hinders a patch of the cache.
std::string refusal_at(const CacheTarget& cache, const Patch& patch, const Arm& arm,
                       const Roles& roles, const PatchDonor& donor) {
  const auto n = roles.n, m = donor.m;
  const auto lengths = std::to_string(n) + " and " + tokens(m);
  if (cache.align == Align::matched && n != m)
    return "align=matched needs prompts of equal length, but they have " + lengths;
  if (cache.positions.kind == PositionsKind::all && !replaces_prompt(cache, patch) && n != m)
    return "positions=all with what, heads or alpha other than kv, all and 1 needs prompts of "
           "equal length, but they have " +
           lengths;
  const std::int64_t held = arm.entry == Entry::refeed ? 0 : 1;
  if (m - held == 0) return "the donor prompt has no cached position to give";
  if (map_cells(cache.positions, n - held, m - held, donor.tokens).cells.empty())
    return selects_nothing(cache.positions, roles, donor);
  return "";
}

/// The setting that says at which step a patch begins, and that step.
std::pair<const char*, std::int64_t> beginning(const Patch& patch) {
  if (const SiteTarget* site = patch.site()) return {"from_step", site->steps.from};
  return {"at_step", patch.cache()->at_step};
}

std::string refusal_of(const Patch& patch, const Arm& arm, const Roles& roles,
                       const PatchDonor& donor, const ModelConfig& model) {
  if (donor.m == 0)
    return donor.derivation == Derivation::mean ? "the model can read no prompt of the donor side"
                                                : "the donor prompt is empty";
  if (donor.m > model.max_positions)
    return "the donor prompt of " + tokens(donor.m) + " exceeds the model's " +
           positions_text(model);
  const CacheTarget* const cache = patch.cache();
  if (cache != nullptr && cache->align == Align::rerotate && model.learned_positions)
    return "align=rerotate means nothing to a model with learned positions, whose keys are not "
           "rotated (align=as_is or matched)";
  const std::string refusal =
      std::visit([&](const auto& target) { return refusal_at(target, patch, arm, roles, donor); },
                 patch.target);
  return refusal.empty() ? donor.refusal : refusal;
}

}  // namespace

std::string refusal_of(const Arm& arm, const Roles& roles, const GenerationConfig& generation,
                       const ModelConfig& model) {
  if (!arm.refusal.empty()) return arm.refusal;
  // b[n-1] and all generated tokens but the last are fed; refeed feeds b[n-1] at position n.
  const std::int64_t positions =
      roles.n + generation.max_new_tokens - (arm.entry == Entry::refeed ? 0 : 1);
  if (roles.n == 0) return "the prompt is empty";
  if (positions > model.max_positions)
    return "a prompt of " + tokens(roles.n) + " and " + tokens(generation.max_new_tokens) +
           " to generate exceed the model's " + positions_text(model);
  for (std::size_t p = 0; p < arm.patches.size(); ++p) {
    const auto [setting, first_step] = beginning(arm.patches[p]);
    const std::int64_t n_steps = std::max<std::int64_t>(generation.max_new_tokens, 1);
    if (first_step >= n_steps)
      return fmt::format("{}={} is never reached: max_new_tokens={} has steps 0 to {}", setting,
                         first_step, generation.max_new_tokens, n_steps - 1);
    const std::string refusal = refusal_of(arm.patches[p], arm, roles, roles.donors.at(p), model);
    if (!refusal.empty()) return refusal;
  }
  return "";
}

}  // namespace rvsweep
