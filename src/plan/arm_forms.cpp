#include "plan/arm_forms.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "plan/arm_text.hpp"
#include "plan/arm_values.hpp"
#include "plan/change_settings.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"

namespace rvsweep {
namespace {

/// An arm or preset as it is written: what it is before its settings, and those that it takes.
struct ArmForm {
  std::string name;
  Arm arm;
  std::vector<Setting> settings;
};

Setting layers_setting() {
  return {"layers", "", {}, [](Arm& arm, const std::string& text, const ModelConfig& model) {
            arm.patches.back().layers = parse_layer_sets(text, model.n_layers).front();
          }};
}

Setting heads_setting() {
  return {"heads", "all", {}, [](Arm& arm, const std::string& text, const ModelConfig& model) {
            Patch& patch = arm.patches.back();
            patch.heads = parse_heads(text, heads_of(patch, model));
          }};
}

Setting alpha_setting() {
  return {"alpha", "1", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            arm.patches.back().alpha = parse_alpha(text);
          }};
}

Setting positions_setting() {
  return {"positions", "all", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            part_of<CacheTarget>(arm).positions = parse_positions(text);
          }};
}

Setting site_positions_setting() {
  return {"positions", "window", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            if (text != "window") part_of<SiteTarget>(arm).positions = parse_positions(text);
          }};
}

Setting window_setting() {
  return {"window", "model.window", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            if (text == "model.window") return;
            part_of<SiteTarget>(arm).window = parse_window(text);
          }};
}

Setting pairs_setting() {
  return {"pairs", "all", {}, [](Arm& arm, const std::string& text, const ModelConfig&) {
            if (text != "all") arm.pairs = parse_pairs(text);
          }};
}

Setting direction_setting() { return choice("direction", arm_text::direction, &Arm::direction); }

std::vector<Setting> cache_settings() {
  return {layers_setting(),
          choice("entry", arm_text::entry, &Arm::entry),
          choice("growth", arm_text::growth, &CacheTarget::growth),
          choice("align", arm_text::align, &CacheTarget::align),
          choice("what", arm_text::what, &CacheTarget::what),
          positions_setting(),
          at_step_setting(),
          heads_setting(),
          alpha_setting(),
          direction_setting(),
          pairs_setting()};
}

/// `heads` means something only where the site has heads.
std::vector<Setting> site_settings(const SiteInfo& site) {
  std::vector<Setting> settings{
      layers_setting(),
      choice("decode", arm_text::decode, &SiteTarget::decode),
      window_setting(),
      choice("window_policy", arm_text::window_policy, &SiteTarget::window_policy),
      site_positions_setting(),
      alpha_setting(),
      site_direction_setting(direction_setting()),
      orthogonal_setting(),
      pairs_setting()};
  for (const Setting& setting : change_settings()) settings.push_back(setting);
  if (site.heads != SiteHeads::none) settings.push_back(heads_setting());
  return settings;
}

/// An arm that pins the notebook's cache arithmetic, window rule and truncation (lines 162-203,
/// 228-290, 690-790).
ArmForm notebook_preset(const std::string& name, Entry entry, const Patch& patch) {
  return {"preset:" + name,
          {.preset = name, .entry = entry, .truncate_at = notebook_truncation, .patches = {patch}},
          {layers_setting(), direction_setting(), pairs_setting()}};
}

std::vector<ArmForm> make_arm_forms() {
  const auto patched = [](const Patch& patch) { return Arm{.patches = {patch}}; };
  std::vector<ArmForm> forms{{"base", {}, {}},
                             {"source", {.direction = Direction::base_to_source}, {}},
                             {"kv_cache", patched({CacheTarget{}}), cache_settings()}};
  for (const SiteInfo& site : all_sites())
    forms.push_back({site.name, patched({SiteTarget{.site = site.site}}), site_settings(site)});
  forms.push_back(notebook_preset(
      "notebook_b", Entry::hold_last,
      {SiteTarget{.window_policy = WindowPolicy::shrink, .decode = Decode::persist}}));
  for (const auto& [name, growth] :
       {std::pair("notebook_c_v1", Growth::frozen), std::pair("notebook_c_v2", Growth::compound)})
    forms.push_back(notebook_preset(name, Entry::refeed,
                                    {CacheTarget{.growth = growth, .align = Align::as_is}}));
  return forms;
}

const std::vector<ArmForm>& arm_forms() {
  static const std::vector<ArmForm> forms = make_arm_forms();
  return forms;
}

using Settings = std::map<std::string, std::string>;

void check_setting(const ArmForm& form, const std::string& name, const std::string& value,
                   const std::string& where) {
  std::vector<std::string> names{"label"};
  for (const Setting& setting : form.settings) {
    names.push_back(setting.name);
    if (setting.name != name) continue;
    const auto& choices = setting.choices;
    if (!choices.empty() && std::ranges::find(choices, value) == choices.end())
      throw InputError(where, name + "=" + value + " is not a choice of " + form.name,
                       fmt::format("choose from {}", fmt::join(choices, ", ")));
    return;
  }
  if (name != "label")
    throw InputError(where, "setting " + name + " means nothing for " + form.name,
                     names.size() == 1 ? "remove it" : "remove it, or " + name_hint(name, names));
}

/// The settings as written; every combination of the comma lists, the last list varying fastest.
std::vector<Settings> written_settings(const ArmForm& form, std::istringstream& words,
                                       const std::string& where) {
  std::vector<Settings> all{{}};
  std::set<std::string> seen;
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos)
      throw InputError(where, "\"" + word + "\" is not setting=value", "correct the arm line");
    const std::string name = word.substr(0, equals);
    if (!seen.insert(name).second)
      throw InputError(where, "setting " + name + " is written twice", "keep one of the two");
    std::vector<Settings> longer;
    for (const Settings& settings : all)
      for (const std::string& value : split(word.substr(equals + 1), ',')) {
        if (value.empty())
          throw InputError(where, "setting " + name + " has an empty value", "complete it");
        check_setting(form, name, value, where);
        longer.push_back(settings);
        longer.back()[name] = value;
      }
    all = std::move(longer);
  }
  return all;
}

/// A value as labels show it: a long word list by its first words, a file by its name.
std::string short_text(const std::string& value) {
  if (const auto hash = value.rfind('@'); hash != std::string::npos) {
    const auto name = value.rfind('/', hash) + 1;  // 0 without a folder
    return value.substr(name, hash - name);
  }
  const auto parts = split(value, '+');
  if (!value.starts_with("words:") || parts.size() < 5) return value;
  return fmt::format("{}+{} more", fmt::join(parts.begin(), parts.begin() + 3, "+"),
                     parts.size() - 3);
}

/// What a reader needs to tell arms apart: the kind, its layers and every setting off its default.
std::string default_label(const ArmForm& form, const Settings& settings) {
  std::string label = form.arm.preset.empty() ? form.name : form.arm.preset;
  for (const Setting& setting : form.settings) {
    const std::string& value = settings.at(setting.name);
    if (value == setting.default_value) continue;
    const bool is_named = setting.name == "heads" || setting.name == "alpha" ||
                          setting.name == "what" || setting.name == "window" ||
                          setting.name == "scale" || setting.name == "factor" ||
                          setting.name.ends_with("_step");
    label += fmt::format(" {}{}", is_named ? setting.name + "=" : "", short_text(value));
  }
  return label;
}

Arm make_arm(const ArmForm& form, const Settings& settings, const ModelConfig& model,
             std::int64_t window) {
  Arm arm = form.arm;
  for (Patch& patch : arm.patches)
    if (auto* site = std::get_if<SiteTarget>(&patch.target)) site->window = window;
  for (const Setting& setting : form.settings) setting.set(arm, settings.at(setting.name), model);
  std::ranges::for_each(arm.patches, settle_change);
  const auto label = settings.find("label");
  arm.label = label != settings.end() ? label->second : default_label(form, settings);
  return arm;
}

/// One arm, or several where `layers` stands for several bands or `positions` for several places.
/// Throws InputError (message only).
std::vector<Arm> arms_of(const ArmForm& form, Settings settings, const ModelConfig& model,
                         std::int64_t window) {
  if (!form.arm.is_patched()) return {make_arm(form, settings, model, window)};
  std::vector<std::string> places{""};
  if (const auto found = settings.find("positions"); found != settings.end())
    places = expand_positions(found->second, window);
  std::vector<Arm> arms;
  for (const LayerSet& layers : parse_layer_sets(settings.at("layers"), model.n_layers)) {
    settings["layers"] = format_layers(layers);
    for (const std::string& place : places) {
      if (settings.contains("positions")) settings["positions"] = place;
      arms.push_back(make_arm(form, settings, model, window));
    }
    if (form.arm.preset == "notebook_b" && layers.size() != 1)
      throw InputError("",
                       "preset:notebook_b patches one layer, not " + std::to_string(layers.size()),
                       "give one layer, or use v_proj decode=persist");
  }
  return arms;
}

/// A window means nothing beside positions.
void check_positions(const Settings& written, const std::string& where) {
  const auto positions = written.find("positions");
  if (positions == written.end() || positions->second == "window") return;
  for (const char* name : {"window", "window_policy"})
    if (written.contains(name))
      throw InputError(where,
                       fmt::format("{}={} means nothing beside positions={}", name,
                                   written.at(name), positions->second),
                       "remove one of the two");
}

/// The arms of one part of a line: its patch by every choice of its lists, or base or source.
std::vector<Arm> parse_part(const ArmForm& form, std::istringstream& words,
                            const std::string& where, const ModelConfig& model,
                            std::int64_t window) {
  std::vector<Arm> arms;
  for (Settings settings : written_settings(form, words, where)) {
    check_positions(settings, where);
    for (const Setting& setting : form.settings) {
      if (setting.default_value.empty() && !settings.contains(setting.name))
        throw InputError(where, form.name + " needs " + setting.name + "=",
                         "for example " + form.name + " layers=50%:100%");
      settings.try_emplace(setting.name, setting.default_value);
    }
    try {
      for (Arm& arm : arms_of(form, settings, model, window)) arms.push_back(std::move(arm));
    } catch (const InputError& error) {
      throw InputError(where, error.what());
    }
  }
  return arms;
}

/// Settings of the whole row: written at one of its patches, they hold for all that have them.
constexpr std::array of_the_row{"entry", "direction", "label", "pairs"};

/// The word of a part that sets `name` for the row, else none.
std::string written(const std::string& part, const std::string& name) {
  std::istringstream words(part);
  for (std::string word; words >> word;)
    if (word.starts_with(name + "=") &&
        (name != "direction" || is_direction_of_row(split(word.substr(name.size() + 1), ',')[0])))
      return word;
  return "";
}

/// Gives every part what another one says for the whole row. InputError where two differ.
void share_settings(std::vector<std::string>& parts, const std::vector<const ArmForm*>& forms,
                    const std::string& where) {
  for (const std::string name : of_the_row) {
    std::string said;
    for (const std::string& part : parts) {
      const std::string word = written(part, name);
      if (!word.empty() && !said.empty() && word != said)
        throw InputError(where,
                         name + " is one for all patches of an arm, not " + said + " and " + word,
                         "write it once");
      if (!word.empty()) said = word;
    }
    if (said.empty()) continue;
    if (said.find(',') != std::string::npos)
      throw InputError(where, said + " is a list in an arm of several patches",
                       "write one arm line for each");
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const bool takes_it =
          name == "label" ||
          std::ranges::find(forms[p]->settings, name, &Setting::name) != forms[p]->settings.end();
      const bool is_set = (" " + parts[p]).find(" " + name + "=") != std::string::npos;
      if (takes_it && !is_set) parts[p] += " " + said;
    }
  }
}

/// `arm` with the patches of `more` after its own.
Arm joined(Arm arm, const Arm& more, bool is_labelled, const std::string& where) {
  arm.patches.insert(arm.patches.end(), more.patches.begin(), more.patches.end());
  if (more.patches.front().cache() != nullptr) arm.entry = more.entry;
  // Parts that name vectors as their direction leave the row's at its default.
  if (more.direction != Direction::source_to_base) arm.direction = more.direction;
  if (!is_labelled) arm.label += " & " + more.label;
  if (const std::string conflict = cache_conflict(arm.patches); !conflict.empty())
    throw InputError(where, conflict,
                     "give the patches other layers, or equal growth and chosen positions");
  return arm;
}

/// What stands between words "&", which labels and file names may hold too.
std::vector<std::string> parts_of(const std::string& line) {
  std::vector<std::string> parts(1);
  std::istringstream words(line);
  for (std::string word; words >> word;)
    if (word == "&")
      parts.emplace_back();
    else
      parts.back() += (parts.back().empty() ? "" : " ") + word;
  return parts;
}

std::string first_word(const std::string& part) { return part.substr(0, part.find(' ')); }

/// "kv_cache layers=16:32 & v_proj layers=27": every choice of the first part with every one of the
/// next.
std::vector<Arm> parse_line(const ConfigValue& line, const ModelConfig& model,
                            std::int64_t window) {
  std::vector<std::string> parts = parts_of(line.text);
  std::vector<const ArmForm*> forms;
  for (const std::string& part : parts) {
    const std::string name = first_word(part);
    forms.push_back(&find_named(arm_forms(), name, line.where, "arm \"" + name + "\""));
    if (parts.size() > 1 && (!forms.back()->arm.is_patched() || !forms.back()->arm.preset.empty()))
      throw InputError(line.where, name + " is an arm of its own and cannot be joined by &",
                       "join kv_cache and sites such as v_proj");
  }
  if (parts.size() > 1) share_settings(parts, forms, line.where);
  const bool is_labelled = !written(parts.front(), "label").empty();
  std::vector<Arm> arms;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    std::istringstream words(parts[p].substr(first_word(parts[p]).size()));
    const std::vector<Arm> of_part = parse_part(*forms[p], words, line.where, model, window);
    std::vector<Arm> longer;
    if (p == 0) longer = of_part;
    for (const Arm& arm : arms)
      for (const Arm& more : of_part) longer.push_back(joined(arm, more, is_labelled, line.where));
    arms = std::move(longer);
  }
  return arms;
}

}  // namespace

std::vector<Arm> parse_arms(const std::vector<ConfigValue>& lines, const ModelConfig& model,
                            std::int64_t window) {
  std::vector<Arm> arms;
  std::map<std::string, std::string> spec_at, label_at;
  for (const ConfigValue& line : lines) {
    for (Arm& arm : parse_line(line, model, window)) {
      if (const auto [at, is_new] = spec_at.emplace(arm.canonical(), line.where); !is_new)
        throw InputError(line.where,
                         "arm \"" + arm.canonical() + "\" is already given at " + at->second,
                         "remove one of the two");
      if (const auto [at, is_new] = label_at.emplace(arm.label, line.where); !is_new)
        throw InputError(line.where, "label \"" + arm.label + "\" is already used at " + at->second,
                         "give one of them another label=");
      arm.asked_by = {arm.label};
      arms.push_back(std::move(arm));
    }
  }
  return arms;
}

}  // namespace rvsweep
