#include "rvsweep/plan/arm.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/plan/split.hpp"

namespace rvsweep {
namespace {

using Settings = std::map<std::string, std::string>;

/// A setting of an arm: its default and, where it is a choice, what may be written.
struct Setting {
  std::string name;
  std::string default_value;         // empty: must be given
  std::vector<std::string> choices;  // empty: free text
};

/// An arm or preset as it is written, and the settings that mean something for it.
struct ArmForm {
  std::string name;
  ArmKind kind;
  std::vector<Setting> settings;
  Settings fixed;  // of a preset
};

const std::vector<ArmForm>& arm_forms() {
  const Setting layers{"layers", "", {}};
  const Setting direction{"direction", "source_to_base", {"source_to_base", "base_to_source"}};
  const Setting heads{"heads", "all", {"all"}};
  const Setting alpha{"alpha", "1", {"1"}};
  // The notebook pins cache arithmetic, window rule and truncation (lines 162-203, 228-290,
  // 690-790).
  const Settings refeed_as_is{{"entry", "refeed"}, {"align", "as_is"}};
  const auto with = [](Settings base, const char* key, const char* value) {
    base[key] = value;
    return base;
  };
  static const std::vector<ArmForm> forms{
      {"base", ArmKind::base, {}, {}},
      {"source", ArmKind::source, {}, {}},
      {"v_proj",
       ArmKind::v_proj,
       {layers,
        {"decode", "prefill", {"prefill", "persist"}},
        {"window_policy", "refuse", {"refuse", "shrink"}},
        heads,
        alpha,
        direction},
       {}},
      {"kv_cache",
       ArmKind::kv_cache,
       {layers,
        {"entry", "hold_last", {"hold_last", "refeed"}},
        {"growth", "append", {"append", "frozen", "compound"}},
        {"align", "rerotate", {"as_is", "rerotate", "matched"}},
        {"what", "kv", {"kv"}},
        {"positions", "all", {"all"}},
        heads,
        alpha,
        direction},
       {}},
      {"preset:notebook_b",
       ArmKind::v_proj,
       {layers, direction},
       {{"decode", "persist"}, {"window_policy", "shrink"}}},
      {"preset:notebook_c_v1",
       ArmKind::kv_cache,
       {layers, direction},
       with(refeed_as_is, "growth", "frozen")},
      {"preset:notebook_c_v2",
       ArmKind::kv_cache,
       {layers, direction},
       with(refeed_as_is, "growth", "compound")},
  };
  return forms;
}

constexpr std::int64_t notebook_truncation = 512;  // tokens, max_length of the notebook

const ArmForm& find_form(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const ArmForm& form : arm_forms()) {
    if (form.name == name) return form;
    names.push_back(form.name);
  }
  throw InputError(where, "unknown arm \"" + name + "\"",
                   "did you mean " + nearest_name(name, names) + "?");
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

void check_setting(const ArmForm& form, const std::string& name, const std::string& value,
                   const std::string& where) {
  std::vector<std::string> names{"label"};
  for (const Setting& setting : form.settings) {
    names.push_back(setting.name);
    if (setting.name != name) continue;
    const auto& choices = setting.choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
      throw InputError(where, name + "=" + value + " is not a choice of " + form.name,
                       "choose from " + joined(choices));
    return;
  }
  if (name != "label")
    throw InputError(where, "setting " + name + " means nothing for " + form.name,
                     names.size() == 1
                         ? "remove it"
                         : "remove it, or did you mean " + nearest_name(name, names) + "?");
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

/// Position of the written value among the choices of the enum, which list in the enum's order.
template <class Enum>
Enum choose(const Settings& settings, const std::string& name,
            const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), settings.at(name));
  RVSWEEP_EXPECT(found != names.end(), "check_setting admits the choices only");
  return static_cast<Enum>(found - names.begin());
}

const std::vector<std::string> decode_names{"prefill", "persist"};
const std::vector<std::string> policy_names{"refuse", "shrink"};
const std::vector<std::string> entry_names{"hold_last", "refeed"};
const std::vector<std::string> growth_names{"append", "frozen", "compound"};
const std::vector<std::string> align_names{"as_is", "rerotate", "matched"};
const std::vector<std::string> direction_names{"source_to_base", "base_to_source"};

template <class Enum>
const std::string& name_of(const std::vector<std::string>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

/// What a reader needs to tell arms apart: the kind, its layers and every setting off its default.
std::string default_label(const ArmForm& form, const Settings& settings, const LayerSet& layers) {
  std::string label = form.name.starts_with("preset:") ? form.name.substr(7) : form.name;
  if (!layers.empty()) label += " " + format_layers(layers);
  for (const Setting& setting : form.settings)
    if (setting.name != "layers" && settings.at(setting.name) != setting.default_value)
      label += " " + settings.at(setting.name);
  return label;
}

ArmSpec make_arm(const ArmForm& form, const Settings& settings, const LayerSet& layers,
                 std::int64_t window) {
  ArmSpec arm;
  arm.kind = form.kind;
  arm.layers = layers;
  if (form.name.starts_with("preset:")) {
    arm.preset = form.name.substr(7);
    arm.truncate_at = notebook_truncation;
  }
  if (arm.is_patched()) arm.direction = choose<Direction>(settings, "direction", direction_names);
  if (arm.kind == ArmKind::v_proj) {
    arm.decode = choose<Decode>(settings, "decode", decode_names);
    arm.window_policy = choose<WindowPolicy>(settings, "window_policy", policy_names);
    arm.window = window;
  } else if (arm.kind == ArmKind::kv_cache) {
    arm.entry = choose<Entry>(settings, "entry", entry_names);
    arm.growth = choose<Growth>(settings, "growth", growth_names);
    arm.align = choose<Align>(settings, "align", align_names);
  }
  const auto label = settings.find("label");
  arm.label = label != settings.end() ? label->second : default_label(form, settings, layers);
  return arm;
}

std::vector<ArmSpec> parse_line(const ConfigValue& line, std::int64_t n_layers,
                                std::int64_t window) {
  std::istringstream words(line.text);
  std::string name;
  words >> name;
  const ArmForm& form = find_form(name, line.where);
  std::vector<ArmSpec> arms;
  for (Settings settings : written_settings(form, words, line.where)) {
    settings.insert(form.fixed.begin(), form.fixed.end());
    for (const Setting& setting : form.settings) {
      if (setting.default_value.empty() && !settings.contains(setting.name))
        throw InputError(line.where, form.name + " needs " + setting.name + "=",
                         "for example " + form.name + " layers=50%:100%");
      settings.try_emplace(setting.name, setting.default_value);
    }
    std::vector<LayerSet> layer_sets{{}};
    if (settings.contains("layers")) {
      try {
        layer_sets = parse_layer_sets(settings.at("layers"), n_layers);
      } catch (const InputError& error) {
        throw InputError(line.where, error.what());
      }
    }
    for (const LayerSet& layers : layer_sets) {
      arms.push_back(make_arm(form, settings, layers, window));
      if (arms.back().preset == "notebook_b" && layers.size() != 1)
        throw InputError(
            line.where, "preset:notebook_b patches one layer, not " + std::to_string(layers.size()),
            "give one layer, or use v_proj decode=persist");
    }
  }
  return arms;
}

}  // namespace

std::string kind_name(ArmKind kind) {
  static const std::vector<std::string> names{"base", "source", "v_proj", "kv_cache"};
  return name_of(names, kind);
}

std::string ArmSpec::canonical() const {
  std::string text = kind_name(kind);
  if (!is_patched()) return text;
  text += " layers=" + format_layers(layers);
  if (kind == ArmKind::v_proj) {
    text += " decode=" + name_of(decode_names, decode) + " window=" + std::to_string(window) +
            " window_policy=" + name_of(policy_names, window_policy);
  } else {
    text += " entry=" + name_of(entry_names, entry) + " growth=" + name_of(growth_names, growth) +
            " align=" + name_of(align_names, align) + " what=kv positions=all";
  }
  text += " heads=all alpha=1 direction=" + name_of(direction_names, direction);
  if (!preset.empty()) text += " preset=" + preset + " truncate=" + std::to_string(truncate_at);
  return text;
}

std::vector<ArmSpec> parse_arms(const std::vector<ConfigValue>& lines, std::int64_t n_layers,
                                std::int64_t window) {
  std::vector<ArmSpec> arms;
  std::map<std::string, std::string> spec_at, label_at;
  for (const ConfigValue& line : lines) {
    for (ArmSpec& arm : parse_line(line, n_layers, window)) {
      if (const auto [at, is_new] = spec_at.emplace(arm.canonical(), line.where); !is_new)
        throw InputError(line.where,
                         "arm \"" + arm.canonical() + "\" is already given at " + at->second,
                         "remove one of the two");
      if (const auto [at, is_new] = label_at.emplace(arm.label, line.where); !is_new)
        throw InputError(line.where, "label \"" + arm.label + "\" is already used at " + at->second,
                         "give one of them another label=");
      arms.push_back(std::move(arm));
    }
  }
  return arms;
}

}  // namespace rvsweep
