#include "plan/control.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

/// A band as wide as the arm's layers, outside of them; none where the model has none.
std::optional<LayerSet> wrong_band(const LayerSet& layers, std::int64_t n_layers) {
  const auto width = std::ssize(layers), first = layers.front(), end = layers.back() + 1;
  const std::int64_t begin = width > first ? n_layers - width : 0;
  if (width > first && end > begin) return std::nullopt;
  LayerSet band;
  for (std::int64_t layer = begin; layer < begin + width; ++layer) band.push_back(layer);
  return band;
}

/// The whole cache swapped, for all arms of one direction and truncation.
Arm full_swap(const Arm& of, std::int64_t n_layers) {
  Patch patch{CacheTarget{}};
  for (std::int64_t layer = 0; layer < n_layers; ++layer) patch.layers.push_back(layer);
  Arm arm{.direction = of.direction, .truncate_at = of.truncate_at, .patches = {patch}};
  arm.label = of.direction == Direction::source_to_base ? "full_swap" : "full_swap base_to_source";
  if (of.truncate_at != 0) arm.label += " cut to " + std::to_string(of.truncate_at) + " tokens";
  return arm;
}

std::span<Patch> changed_patches(Arm& control) {
  const std::span<Patch> all(control.patches);
  return control.control_patch == 0
             ? all
             : all.subspan(static_cast<std::size_t>(control.control_patch) - 1, 1);
}

/// Moves a patch to a band outside its layers, or says why the arm cannot run.
void move_band(Arm& arm, Patch& patch, std::int64_t n_layers) {
  const std::string layers = format_layers(patch.layers);
  arm.control_of += (arm.control_of.empty() ? "" : "/") + layers;
  if (const auto band = wrong_band(patch.layers, n_layers))
    patch.layers = *band;
  else if (arm.refusal.empty())
    arm.refusal = "no band of " + std::to_string(patch.layers.size()) +
                  " layers lies outside layers " + layers;
}

/// `patch`: the only one that gets another donor or band, from 1; 0: all.
Arm control_of(const Arm& arm, std::int64_t patch, const ControlInfo& info, std::int64_t n_layers) {
  Arm result = info.control == Control::full_swap ? full_swap(arm, n_layers) : arm;
  result.control = info.control;
  if (info.control == Control::full_swap) return result;
  result.control_patch = patch;
  result.label += (patch == 0 ? "" : "." + std::to_string(patch)) + " | " + info.name;
  if (info.control == Control::reverse)
    result.direction = arm.direction == Direction::source_to_base ? Direction::base_to_source
                                                                  : Direction::source_to_base;
  for (Patch& changed : changed_patches(result)) {
    changed.donor = info.donor;
    if (info.control == Control::wrong_band) move_band(result, changed, n_layers);
  }
  if (result.refusal.empty()) result.refusal = cache_conflict(result.patches);
  return result;
}

/// Sites have not every control; full_swap and reverse are of whole arms.
bool applies_to(const ControlInfo& info, const Arm& arm, std::int64_t patch) {
  const bool of_whole_arms = info.control == Control::full_swap || info.control == Control::reverse;
  if (!arm.is_patched() || (of_whole_arms && patch != 0)) return false;
  const auto has_it = [&](const Patch& p) { return info.for_sites || p.cache() != nullptr; };
  if (patch != 0) return has_it(arm.patches[static_cast<std::size_t>(patch) - 1]);
  return std::ranges::all_of(arm.patches, has_it);
}

/// What control_of= limits a line to: an arm's label, or "LABEL.2" for its second patch alone.
struct Limit {
  std::string label;
  std::int64_t patch = 0;  // from 1; 0: all
};

Limit limit_of(const std::string& text, const std::vector<Arm>& arms, const std::string& where) {
  std::vector<std::string> known;
  for (const Arm& arm : arms) {
    if (!arm.is_patched()) continue;
    if (arm.label == text) return {text};
    known.push_back(arm.label);
    for (std::size_t p = 1; p <= arm.patches.size(); ++p)
      if (text == arm.label + "." + std::to_string(p))
        return {arm.label, static_cast<std::int64_t>(p)};
  }
  throw InputError(where, "no patched arm has the label \"" + text + "\"",
                   known.empty() ? "add one" : name_hint(text, known));
}

}  // namespace

std::span<const ControlInfo> all_controls() {
  using enum Control;
  static const std::array<ControlInfo, 12> controls{{
      {none, "none", {}, true},
      {self, "self", {DonorPrompt::self}, true},
      {full_swap, "full_swap", {}, false},
      {other_base, "other_base", {DonorPrompt::other_base}, true},
      {other_source, "other_source", {DonorPrompt::other_source}, true},
      {filler, "filler", {DonorPrompt::filler}, false},
      {gaussian, "gaussian", {DonorPrompt::pair, Derivation::gaussian}, true},
      {shuffled, "shuffled", {DonorPrompt::pair, Derivation::shuffled}, false},
      {zero, "zero", {DonorPrompt::pair, Derivation::zero}, true},
      {mean, "mean", {DonorPrompt::donor_side, Derivation::mean}, false},
      {wrong_band, "wrong_band", {}, false},
      {reverse, "reverse", {}, true},
  }};
  return controls;
}

const ControlInfo& info_of(Control control) {
  return all_controls()[static_cast<std::size_t>(control)];
}

std::vector<Arm> control_arms(const std::vector<ConfigValue>& lines, const std::vector<Arm>& arms,
                              const ModelConfig& model) {
  static const std::string limit = "control_of=";
  std::vector<Arm> controls;
  std::set<std::string> specs;
  for (const ConfigValue& line : lines) {
    const auto at = line.text.find(limit);
    Limit only;
    if (at != std::string::npos)
      only = limit_of(trimmed(line.text.substr(at + limit.size())), arms, line.where);
    for (const std::string& part : split(line.text.substr(0, at), ',')) {
      const std::string name = trimmed(part);
      const ControlInfo& info =
          find_named(all_controls().subspan(1), name, line.where, "control \"" + name + "\"");
      bool any = false;
      for (const Arm& arm : arms) {
        if (!applies_to(info, arm, only.patch) || (!only.label.empty() && arm.label != only.label))
          continue;
        any = true;
        Arm control = control_of(arm, only.patch, info, model.n_layers);
        if (!specs.insert(control.canonical()).second) {
          if (info.control == Control::full_swap) continue;  // one for all arms of a direction
          throw InputError(line.where,
                           "control " + info.name + " of \"" + arm.label + "\" is asked for twice",
                           "remove one of the two");
        }
        controls.push_back(std::move(control));
      }
      if (!any)
        throw InputError(line.where, "control " + info.name + " applies to no arm",
                         info.for_sites ? "add a patched arm" : "add a kv_cache arm");
    }
  }
  return controls;
}

}  // namespace rvsweep
