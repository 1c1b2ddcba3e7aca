#include "rvsweep/plan/arm.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "plan/arm_text.hpp"
#include "plan/control.hpp"
#include "rvsweep/plan/directions.hpp"

namespace rvsweep {
namespace {

using arm_text::name_of;

std::string settings_of(const SiteTarget& site, Entry /*entry*/) {
  std::string text = " decode=" + name_of(arm_text::decode, site.decode);
  text += site.positions ? " positions=" + format_positions(*site.positions)
                         : fmt::format(" window={} window_policy={}", site.window,
                                       name_of(arm_text::window_policy, site.window_policy));
  if (site.steps.from != 0) text += " from_step=" + std::to_string(site.steps.from);
  if (site.steps.until != Steps::no_end) text += " until_step=" + std::to_string(site.steps.until);
  if (site.operation == SiteOperation::replace_on_sphere) text += " mix=spherical";
  if (replaces(site.operation)) return text;
  text += " op=" + name_of(arm_text::operation, site.operation);
  if (site.operation == SiteOperation::add) text += fmt::format(" scale={}", site.amount);
  if (site.operation == SiteOperation::add_of_norm) text += fmt::format(" scale={}n", site.amount);
  if (site.operation == SiteOperation::scale) text += fmt::format(" factor={}", site.amount);
  return text;
}

std::string settings_of(const CacheTarget& cache, Entry entry) {
  return " entry=" + name_of(arm_text::entry, entry) +
         " growth=" + name_of(arm_text::growth, cache.growth) +
         " align=" + name_of(arm_text::align, cache.align) +
         " what=" + name_of(arm_text::what, cache.what) +
         " positions=" + format_positions(cache.positions) +
         (cache.at_step == 0 ? "" : " at_step=" + std::to_string(cache.at_step));
}

/// What the arms' positions of a kind say.
template <class Value>
std::set<Value> values_of(const std::vector<Arm>& arms, PositionsKind kind,
                          Value Positions::*member) {
  std::set<Value> values;
  for (const Arm& arm : arms)
    for (const Patch& patch : arm.patches)
      if (const Positions* positions = patch.positions();
          positions != nullptr && positions->kind == kind)
        values.insert(positions->*member);
  return values;
}

/// The direction in place of a donor, that of the arm in its control too.
std::string along(const Donor& donor) {
  if (donor.direction.empty()) return "";
  const bool is_drawn = donor.direction.starts_with(direction::drawn_like);
  return " along=" + donor.direction.substr(is_drawn ? direction::drawn_like.size() : 0);
}

/// All but the donor's prompt, which the arm's control names.
std::string canonical_of(const Patch& patch, Entry entry) {
  return kind_name(patch) + " layers=" + format_layers(patch.layers) +
         std::visit([&](const auto& target) { return settings_of(target, entry); }, patch.target) +
         along(patch.donor) +
         fmt::format(" heads={} alpha={}",
                     patch.heads.empty() ? "all" : fmt::format("{}", fmt::join(patch.heads, "+")),
                     patch.alpha);
}

template <class TextOf>
std::string join_patches(const Arm& arm, TextOf text_of) {
  std::string text;
  for (const Patch& patch : arm.patches) text += (text.empty() ? "" : " & ") + text_of(patch);
  return text;
}

}  // namespace

std::string kind_name(const Patch& patch) {
  return patch.site() != nullptr ? info_of(patch.site()->site).name : "kv_cache";
}

std::string kind_name(const Arm& arm) {
  if (!arm.is_patched()) return arm.direction == Direction::source_to_base ? "base" : "source";
  return join_patches(arm, [](const Patch& patch) { return kind_name(patch); });
}

std::int64_t heads_of(const Patch& patch, const ModelConfig& model) {
  return patch.site() != nullptr ? site_heads(patch.site()->site, model) : model.n_kv_heads;
}

std::string cache_conflict(const std::vector<Patch>& patches) {
  for (auto a = patches.begin(); a != patches.end(); ++a)
    for (auto b = std::next(a); b != patches.end(); ++b) {
      if (a->cache() == nullptr || b->cache() == nullptr) continue;
      const auto shared = std::ranges::find_first_of(a->layers, b->layers);
      if (shared == a->layers.end()) continue;
      const auto replaces = [](const Patch& patch) {
        return patch.cache()->positions.kind == PositionsKind::all;
      };
      const std::string two = "two kv_cache patches of layer " + std::to_string(*shared);
      if (a->cache()->growth != b->cache()->growth) return two + " differ in growth";
      if (a->cache()->at_step != b->cache()->at_step) return two + " differ in at_step";
      if (replaces(*a) || replaces(*b)) return two + ", one of all positions";
    }
  return "";
}

std::int64_t longest_window(const std::vector<Arm>& arms, std::int64_t window) {
  for (const Arm& arm : arms)
    for (const Patch& patch : arm.patches)
      if (patch.site() != nullptr) window = std::max(window, patch.site()->window);
  return window;
}

bool reach_beyond_windows(const std::vector<Arm>& arms, std::int64_t window) {
  window = longest_window(arms, window);
  for (const Arm& arm : arms)
    for (const Patch& patch : arm.patches)
      if (patch.site() != nullptr && patch.positions() != nullptr &&
          !patch.positions()->lie_in_last(window))
        return true;
  return false;
}

std::set<std::set<std::string>> word_lists(const std::vector<Arm>& arms) {
  return values_of(arms, PositionsKind::keywords, &Positions::words);
}

std::set<std::string> names_of_spans(const std::vector<Arm>& arms) {
  return values_of(arms, PositionsKind::named, &Positions::name);
}

const Positions* Patch::positions() const {
  if (cache() != nullptr) return &cache()->positions;
  return site()->positions ? &*site()->positions : nullptr;
}

bool Arm::takes_from(DonorPrompt prompt) const {
  return std::ranges::any_of(patches, [&](const Patch& p) { return p.donor.prompt == prompt; });
}

std::string Arm::canonical() const {
  if (!is_patched()) return kind_name(*this);
  std::string text =
      join_patches(*this, [&](const Patch& patch) { return canonical_of(patch, entry); }) +
      " direction=" + name_of(arm_text::direction, direction);
  if (!pairs.empty()) text += " pairs=" + pairs;
  if (!preset.empty()) text += " preset=" + preset;
  if (truncate_at != 0) text += " truncate=" + std::to_string(truncate_at);
  if (control != Control::none) text += " control=" + control_name(*this);
  if (control_patch != 0) text += " patch=" + std::to_string(control_patch);
  if (!control_of.empty()) text += " of=" + control_of;
  return text;
}

}  // namespace rvsweep
