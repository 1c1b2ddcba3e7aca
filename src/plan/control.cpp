#include "plan/control.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/philox.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/directions.hpp"

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

/// The whole cache swapped, for all arms of one direction, truncation and choice of pairs.
Arm full_swap(const Arm& of, std::int64_t n_layers) {
  Patch patch{CacheTarget{}};
  for (std::int64_t layer = 0; layer < n_layers; ++layer) patch.layers.push_back(layer);
  Arm arm{.direction = of.direction, .truncate_at = of.truncate_at, .patches = {patch}};
  arm.pairs = of.pairs;
  arm.asked_by = of.asked_by;
  arm.label = of.direction == Direction::source_to_base ? "full_swap" : "full_swap base_to_source";
  if (of.truncate_at != 0) arm.label += " cut to " + std::to_string(of.truncate_at) + " tokens";
  if (!of.pairs.empty()) arm.label += " " + of.pairs;
  return arm;
}

std::span<Patch> changed_patches(Arm& control) {
  const std::span<Patch> all(control.patches);
  return control.control_patch == 0
             ? all
             : all.subspan(static_cast<std::size_t>(control.control_patch) - 1, 1);
}

std::string layers_of(std::span<const Patch> patches) {
  std::string layers;
  for (const Patch& patch : patches)
    layers += (layers.empty() ? "" : "/") + format_layers(patch.layers);
  return layers;
}

/// Gives every changed patch as many layers, drawn from all, such that they are neither its own nor
/// those of an earlier copy; or says why it cannot run.
void draw_layers(Arm& arm, std::int64_t n_layers, std::uint64_t seed) {
  constexpr int most_draws = 1000;
  const std::string own = arm.control_of = layers_of(changed_patches(arm));
  std::set<std::string> known{own};
  for (int draw = 0; draw < most_draws; ++draw) {
    Arm drawn = arm;
    const auto changed = changed_patches(drawn);
    for (std::size_t p = 0; p < changed.size(); ++p) {
      LayerSet& layers = changed[p].layers;
      const auto order = permutation(xxh3_fields({std::to_string(seed), "random_layers", own,
                                                  std::to_string(p), std::to_string(draw)}),
                                     0, static_cast<std::int32_t>(n_layers));
      std::copy_n(order.begin(), layers.size(), layers.begin());
      std::ranges::sort(layers);
    }
    known.insert(layers_of(changed));
    if (std::ssize(known) <= arm.copy) continue;
    arm = std::move(drawn);
    return;
  }
  arm.refusal =
      fmt::format("the model has no {} other sets of as many layers as {}", arm.copy, own);
}

/// Moves every changed patch to a band outside its layers, or says why the arm cannot run.
void move_bands(Arm& arm, std::int64_t n_layers) {
  arm.control_of = layers_of(changed_patches(arm));
  for (Patch& patch : changed_patches(arm)) {
    const std::string layers = format_layers(patch.layers);
    if (const auto band = wrong_band(patch.layers, n_layers))
      patch.layers = *band;
    else if (arm.refusal.empty())
      arm.refusal = "no band of " + std::to_string(patch.layers.size()) +
                    " layers lies outside layers " + layers;
  }
}

/// A control as a line names it: "self", or "other_base*4".
struct Asked {
  const ControlInfo& info;
  std::int32_t copies = 1;
};

Asked parse_control(const std::string& text, const std::string& where) {
  const auto star = text.find('*');
  const std::string name = trimmed(text.substr(0, star));
  const ControlInfo& info =
      find_named(all_controls().subspan(1), name, where, "control \"" + name + "\"");
  if (star == std::string::npos) return {info};
  const auto copies = parse_number<std::int32_t>(trimmed(text.substr(star + 1)));
  if (!info.repeats)
    throw InputError(where, "control " + name + " cannot be asked for several times",
                     "other_base, other_source, same_length and random_layers can");
  if (!copies || *copies < 1 || *copies > 1000)
    throw InputError(where, "\"" + text + "\" is not a number of controls",
                     "write " + name + "*K, with K from 1 to 1000");
  return {info, *copies};
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

/// A control of the arm, or of the one patch of it that `only` names.
Arm control_of(const Arm& arm, const Limit& only, const ControlInfo& info, std::int32_t copy,
               std::int64_t n_layers, std::uint64_t seed) {
  Arm result = info.control == Control::full_swap ? full_swap(arm, n_layers) : arm;
  result.control = info.control;
  if (info.control == Control::full_swap) return result;
  result.copy = copy;
  result.control_patch = only.patch;
  result.label +=
      (only.patch == 0 ? "" : "." + std::to_string(only.patch)) + " | " + control_name(result);
  if (info.control == Control::reverse)
    result.direction = arm.direction == Direction::source_to_base ? Direction::base_to_source
                                                                  : Direction::source_to_base;
  for (Patch& patch : changed_patches(result)) {
    if (!info.gives_donor()) continue;
    if (!patch.donor.direction.empty()) {
      patch.donor.direction = direction::drawn_like + patch.donor.direction;
      continue;
    }
    patch.donor = info.donor;
    patch.donor.number = copy;
  }
  if (info.control == Control::wrong_band) move_bands(result, n_layers);
  if (info.control == Control::random_layers) draw_layers(result, n_layers, seed);
  if (result.refusal.empty()) result.refusal = cache_conflict(result.patches);
  return result;
}

/// Sites have not every control; full_swap and reverse are of whole arms.
bool applies_to(const ControlInfo& info, const Arm& arm, const Limit& only) {
  const bool of_whole_arms = info.control == Control::full_swap || info.control == Control::reverse;
  if (!arm.is_patched() || (of_whole_arms && only.patch != 0)) return false;
  if (!only.label.empty() && arm.label != only.label) return false;
  const auto has_it = [&](const Patch& p) {
    if (p.cache() != nullptr) return true;
    if (!info.for_sites) return false;
    if (!info.gives_donor()) return true;
    return p.donor.direction.empty() ? p.site()->reads_donor() : info.control == Control::gaussian;
  };
  if (only.patch != 0) return has_it(arm.patches[static_cast<std::size_t>(only.patch) - 1]);
  return std::ranges::all_of(arm.patches, has_it);
}

}  // namespace

std::span<const ControlInfo> all_controls() {
  using enum Control;
  static const std::array<ControlInfo, 15> controls{{
      {none, "none", {}, true},
      {self, "self", {DonorPrompt::self}, true},
      {full_swap, "full_swap", {}, false},
      {other_base, "other_base", {DonorPrompt::other_base}, true, true},
      {other_source, "other_source", {DonorPrompt::other_source}, true, true},
      {filler, "filler", {DonorPrompt::filler}, false},
      {gaussian, "gaussian", {DonorPrompt::pair, Derivation::gaussian}, true},
      {shuffled, "shuffled", {DonorPrompt::pair, Derivation::shuffled}, false},
      {zero, "zero", {DonorPrompt::pair, Derivation::zero}, true},
      {mean, "mean", {DonorPrompt::donor_side, Derivation::mean}, false},
      {wrong_band, "wrong_band", {}, false},
      {reverse, "reverse", {}, true},
      {random_layers, "random_layers", {}, true, true},
      {same_length, "same_length", {DonorPrompt::same_length}, true, true},
      {last_row, "last_row", {DonorPrompt::pair, Derivation::last_row}, true},
  }};
  return controls;
}

const ControlInfo& info_of(Control control) {
  return all_controls()[static_cast<std::size_t>(control)];
}

std::string control_name(const Arm& arm) {
  const std::string& name = info_of(arm.control).name;
  return arm.copy == 1 ? name : fmt::format("{}:{}", name, arm.copy);
}

std::vector<Arm> control_arms(const std::vector<ConfigValue>& lines, const std::vector<Arm>& arms,
                              const ModelConfig& model, std::uint64_t seed) {
  static const std::string limit = "control_of=";
  std::vector<Arm> controls;
  std::set<std::string> specs;
  for (const ConfigValue& line : lines) {
    const auto at = line.text.find(limit);
    Limit only;
    if (at != std::string::npos)
      only = limit_of(trimmed(line.text.substr(at + limit.size())), arms, line.where);
    for (const std::string& part : split(line.text.substr(0, at), ',')) {
      const auto [info, copies] = parse_control(trimmed(part), line.where);
      bool any = false;
      for (const Arm& arm : arms) {
        if (!applies_to(info, arm, only)) continue;
        any = true;
        for (std::int32_t copy = 1; copy <= copies; ++copy) {
          Arm control = control_of(arm, only, info, copy, model.n_layers, seed);
          if (!specs.insert(control.canonical()).second) {
            if (info.control == Control::full_swap) {  // one for all arms of a direction
              std::ranges::find(controls, control.label, &Arm::label)
                  ->asked_by.push_back(arm.label);
              continue;
            }
            throw InputError(
                line.where, "control " + info.name + " of \"" + arm.label + "\" is asked for twice",
                "remove one of the two");
          }
          controls.push_back(std::move(control));
        }
      }
      if (!any)
        throw InputError(line.where, "control " + info.name + " applies to no arm",
                         info.for_sites ? "add a patched arm" : "add a kv_cache arm");
    }
  }
  return controls;
}

}  // namespace rvsweep
