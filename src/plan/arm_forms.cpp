#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "plan/arm_text.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/arm.hpp"

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
  Site site;
  std::vector<Setting> settings;
  Settings fixed;  // of a preset
};

/// The settings of a site's arm; `heads` means something only where the site has heads.
std::vector<Setting> site_settings(const SiteInfo& site) {
  std::vector<Setting> settings{{"layers", "", {}},
                                {"decode", "prefill", arm_text::decode},
                                {"window_policy", "refuse", arm_text::window_policy},
                                {"alpha", "1", {}},
                                {"direction", "source_to_base", arm_text::direction}};
  if (site.heads != SiteHeads::none) settings.push_back({"heads", "all", {}});
  return settings;
}

std::vector<ArmForm> make_arm_forms() {
  const Setting layers{"layers", "", {}};
  const Setting direction{"direction", "source_to_base", arm_text::direction};
  std::vector<ArmForm> forms{{"base", ArmKind::base, Site::v, {}, {}},
                             {"source", ArmKind::source, Site::v, {}, {}},
                             {"kv_cache",
                              ArmKind::kv_cache,
                              Site::v,
                              {layers,
                               {"entry", "hold_last", arm_text::entry},
                               {"growth", "append", arm_text::growth},
                               {"align", "rerotate", arm_text::align},
                               {"what", "kv", arm_text::what},
                               {"positions", "all", {}},
                               {"heads", "all", {}},
                               {"alpha", "1", {}},
                               direction},
                              {}}};
  for (const SiteInfo& site : all_sites())
    forms.push_back({site.name, ArmKind::site, site.site, site_settings(site), {}});
  // The notebook pins cache arithmetic, window rule and truncation (lines 162-203, 228-290,
  // 690-790).
  forms.push_back({"preset:notebook_b",
                   ArmKind::site,
                   Site::v,
                   {layers, direction},
                   {{"decode", "persist"}, {"window_policy", "shrink"}}});
  for (const auto& [name, growth] :
       {std::pair("preset:notebook_c_v1", "frozen"), std::pair("preset:notebook_c_v2", "compound")})
    forms.push_back({name,
                     ArmKind::kv_cache,
                     Site::v,
                     {layers, direction},
                     {{"entry", "refeed"}, {"align", "as_is"}, {"growth", growth}}});
  return forms;
}

const std::vector<ArmForm>& arm_forms() {
  static const std::vector<ArmForm> forms = make_arm_forms();
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

void check_setting(const ArmForm& form, const std::string& name, const std::string& value,
                   const std::string& where) {
  std::vector<std::string> names{"label"};
  for (const Setting& setting : form.settings) {
    names.push_back(setting.name);
    if (setting.name != name) continue;
    const auto& choices = setting.choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
      throw InputError(where, name + "=" + value + " is not a choice of " + form.name,
                       fmt::format("choose from {}", fmt::join(choices, ", ")));
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

std::vector<std::int64_t> parse_heads(const std::string& text, std::int64_t n_heads) {
  std::set<std::int64_t> heads;
  if (text == "all") return {};
  for (const std::string& part : split(text, '+')) {
    const auto head = parse_number<std::int64_t>(part);
    if (!head || *head < 0 || *head >= n_heads)
      throw InputError(
          "", "heads=" + text + " is not a choice",
          "write all, or heads from 0 to " + std::to_string(n_heads - 1) + " joined by +");
    heads.insert(*head);
  }
  if (std::ssize(heads) == n_heads) return {};
  return {heads.begin(), heads.end()};
}

double parse_alpha(const std::string& text) {
  const auto alpha = parse_number<double>(text);
  if (!alpha || !(*alpha >= 0 && *alpha <= 1))
    throw InputError("", "alpha=" + text + " is not a share", "write a number from 0 to 1");
  return *alpha;
}

/// What a reader needs to tell arms apart: the kind, its layers and every setting off its default.
std::string default_label(const ArmForm& form, const Settings& settings, const LayerSet& layers) {
  std::string label = form.name.starts_with("preset:") ? form.name.substr(7) : form.name;
  if (!layers.empty()) label += " " + format_layers(layers);
  for (const Setting& setting : form.settings) {
    const std::string& value = settings.at(setting.name);
    if (setting.name == "layers" || value == setting.default_value) continue;
    const bool is_number = setting.name == "heads" || setting.name == "alpha";
    label += " " + (is_number || setting.name == "what" ? setting.name + "=" : "") + value;
  }
  return label;
}

ArmSpec make_arm(const ArmForm& form, const Settings& settings, const LayerSet& layers,
                 const ModelConfig& model, std::int64_t window) {
  ArmSpec arm;
  arm.kind = form.kind;
  arm.site = form.site;
  arm.layers = layers;
  if (form.name.starts_with("preset:")) {
    arm.preset = form.name.substr(7);
    arm.truncate_at = notebook_truncation;
  }
  if (arm.is_patched())
    arm.direction = choose<Direction>(settings, "direction", arm_text::direction);
  if (const auto alpha = settings.find("alpha"); alpha != settings.end())
    arm.alpha = parse_alpha(alpha->second);
  if (const auto heads = settings.find("heads"); heads != settings.end())
    arm.heads = parse_heads(heads->second, site_heads(arm.site, model));
  if (arm.kind == ArmKind::site) {
    arm.decode = choose<Decode>(settings, "decode", arm_text::decode);
    arm.window_policy = choose<WindowPolicy>(settings, "window_policy", arm_text::window_policy);
    arm.window = window;
  } else if (arm.kind == ArmKind::kv_cache) {
    arm.entry = choose<Entry>(settings, "entry", arm_text::entry);
    arm.growth = choose<Growth>(settings, "growth", arm_text::growth);
    arm.align = choose<Align>(settings, "align", arm_text::align);
    if (form.fixed.empty()) {
      arm.what = choose<What>(settings, "what", arm_text::what);
      arm.positions = parse_positions(settings.at("positions"));
    }
  }
  const auto label = settings.find("label");
  arm.label = label != settings.end() ? label->second : default_label(form, settings, layers);
  return arm;
}

std::vector<ArmSpec> parse_line(const ConfigValue& line, const ModelConfig& model,
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
    try {
      std::vector<LayerSet> layer_sets{{}};
      if (settings.contains("layers"))
        layer_sets = parse_layer_sets(settings.at("layers"), model.n_layers);
      for (const LayerSet& layers : layer_sets) {
        arms.push_back(make_arm(form, settings, layers, model, window));
        if (arms.back().preset == "notebook_b" && layers.size() != 1)
          throw InputError(
              "", "preset:notebook_b patches one layer, not " + std::to_string(layers.size()),
              "give one layer, or use v_proj decode=persist");
      }
    } catch (const InputError& error) {
      throw InputError(line.where, error.what());
    }
  }
  return arms;
}

}  // namespace

std::vector<ArmSpec> parse_arms(const std::vector<ConfigValue>& lines, const ModelConfig& model,
                                std::int64_t window) {
  std::vector<ArmSpec> arms;
  std::map<std::string, std::string> spec_at, label_at;
  for (const ConfigValue& line : lines) {
    for (ArmSpec& arm : parse_line(line, model, window)) {
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
