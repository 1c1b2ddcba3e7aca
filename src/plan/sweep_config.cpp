#include "rvsweep/plan/sweep_config.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "plan/arm_values.hpp"
#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"
#include "rvsweep/core/quantity.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/canonical_shapes.hpp"
#include "rvsweep/tokenizer/chat_template.hpp"

namespace rvsweep {
namespace {

/// The value of a key: as written, or its default.
class Values {
 public:
  explicit Values(const ConfigValues& values) : values_(values) {}

  ConfigValue text(const std::string& name) const {
    if (const auto found = values_.find(name); found != values_.end()) return found->second.back();
    const auto& keys = config_keys();
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
    RVSWEEP_EXPECT(key != keys.end(), "config_keys lists every key");
    return {key->default_value, "default"};
  }

  template <class T>
  T number(const std::string& name, T least, T most) const {
    return number_of(name, text(name), least, most);
  }

  template <class T>
  static T number_of(const std::string& name, const ConfigValue& value, T least, T most) {
    const auto result = parse_number<T>(value.text);
    if (!result || !(*result >= least && *result <= most))
      refuse(name, value, "must be a number from " + show(least) + " to " + show(most));
    return *result;
  }

  bool yes_or_no(const std::string& name) const {
    return choice(name, {"true", "false"}) == "true";
  }

  std::string choice(const std::string& name, const std::vector<std::string>& choices) const {
    const ConfigValue value = text(name);
    if (std::find(choices.begin(), choices.end(), value.text) == choices.end())
      refuse(name, value, fmt::format("must be one of {}", fmt::join(choices, ", ")));
    return value.text;
  }

  [[noreturn]] static void refuse(const std::string& name, const ConfigValue& value,
                                  const std::string& advice) {
    throw InputError(value.where, name + " is \"" + value.text + "\"", advice);
  }

 private:
  template <class T>
  static std::string show(T value) {
    std::string text = std::to_string(value);
    if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }

  const ConfigValues& values_;
};

/// The names of a side of a bank's pairs; none where the key is not set.
GroupNames group_names(const Values& values, const std::string& key) {
  const ConfigValue value = values.text(key);
  GroupNames groups{{}, value.where};
  if (value.text == "none") return groups;
  for (const std::string& part : split(value.text, ',')) {
    groups.names.push_back(trimmed(part));
    if (groups.names.back().empty())
      Values::refuse(key, value, "must be names of groups with commas between, or name*");
  }
  return groups;
}

Pairing parse_pairing(const Values& values) {
  const std::map<std::string, PairingKind> kinds{{"listed", PairingKind::listed},
                                                 {"cross", PairingKind::cross},
                                                 {"random", PairingKind::random},
                                                 {"length_matched", PairingKind::length_matched},
                                                 {"matched", PairingKind::matched}};
  const ConfigValue value = values.text("prompts.pairing");
  const auto colon = value.text.find(':');
  const auto kind = kinds.find(value.text.substr(0, colon));
  const bool is_random = kind != kinds.end() && kind->second == PairingKind::random;
  if (kind == kinds.end() || is_random != (colon != std::string::npos))
    Values::refuse("prompts.pairing", value,
                   "must be one of listed, cross, random:K, length_matched, matched");
  Pairing pairing;
  pairing.kind = kind->second;
  pairing.where = value.where;
  if (is_random)
    pairing.bases_per_source = Values::number_of<std::int64_t>(
        "prompts.pairing", {value.text.substr(colon + 1), value.where}, 1, 1000000);
  const bool listed = pairing.kind == PairingKind::listed;
  for (const auto& [key, groups] : {std::pair("prompts.source_groups", &pairing.sources),
                                    std::pair("prompts.base_groups", &pairing.bases)}) {
    *groups = group_names(values, key);
    if (listed && !groups->names.empty())
      Values::refuse(key, values.text(key), "means nothing with prompts.pairing = listed");
    if (!listed && groups->names.empty())
      throw InputError(value.where, "prompts.pairing is \"" + value.text + "\" without " + key,
                       "name the groups of the bank, with commas between, or name*");
  }
  pairing.pairs = values.number<std::int64_t>("prompts.pairs", 0, INT32_MAX);
  if (pairing.pairs > 0 && (listed || pairing.kind == PairingKind::cross))
    Values::refuse("prompts.pairs", values.text("prompts.pairs"),
                   "means nothing with prompts.pairing = " + value.text +
                       "; leave it out, or choose random:K, length_matched or matched");
  if (pairing.kind == PairingKind::matched) {
    const ConfigValue file = values.text("prompts.matched_on");
    if (file.text == "none")
      throw InputError(value.where, "prompts.pairing is \"matched\" without prompts.matched_on",
                       "name the results.h5 of a sweep of these prompts with "
                       "readouts.prompt_logprob = true; it may have no arms but base");
    pairing.matched_on = file.text;
    pairing.caliper = values.number<double>("prompts.caliper", 1e-6, 100);
  }
  return pairing;
}

std::string chat_template(const Values& values) {
  const std::string key = "prompts.template";
  if (const std::string text = values.text(key).text; text.ends_with(".json")) return text;
  std::vector<std::string> choices{"none", "own"};
  for (const ChatTemplate& chat : chat_templates()) choices.push_back(chat.name);
  choices.push_back("a .json file that analysis/chat_template.py wrote");
  return values.choice(key, choices);
}

/// "none", or names of sites with commas between.
std::vector<Site> parse_sites(const std::string& key, const ConfigValue& value) {
  std::vector<Site> sites;
  if (value.text == "none") return sites;
  for (const std::string& part : split(value.text, ',')) {
    const auto found = std::ranges::find(all_sites(), trimmed(part), &SiteInfo::name);
    if (found == all_sites().end()) {
      std::vector<std::string> names;
      for (const SiteInfo& site : all_sites()) names.push_back(site.name);
      Values::refuse(
          key, value,
          fmt::format("must be none, or of {}, with commas between", fmt::join(names, ", ")));
    }
    if (std::ranges::count(sites, found->site) > 0)
      Values::refuse(key, value, "names a site twice");
    sites.push_back(found->site);
  }
  return sites;
}

ReadoutsConfig parse_readouts(const Values& values) {
  ReadoutsConfig readouts;
  readouts.spectra_prompt = values.yes_or_no("readouts.spectra_prompt");
  readouts.spectra_generated = values.yes_or_no("readouts.spectra_generated");
  readouts.spectra_sites =
      parse_sites("readouts.spectra_sites", values.text("readouts.spectra_sites"));
  readouts.keywords = values.yes_or_no("readouts.keywords");
  readouts.first_token = values.yes_or_no("readouts.first_token");
  readouts.prompt_logprob = values.yes_or_no("readouts.prompt_logprob");
  readouts.reencode = values.yes_or_no("readouts.reencode");
  readouts.copying = values.yes_or_no("readouts.copying");
  readouts.families = values.text("readouts.families").text;
  readouts.forced = values.yes_or_no("readouts.forced");
  readouts.step_trace = values.yes_or_no("readouts.step_trace");
  readouts.malformed = values.yes_or_no("readouts.malformed");
  readouts.logit_lens = values.text("readouts.logit_lens");
  readouts.attention = values.text("readouts.attention");
  readouts.state_distance = values.text("readouts.state_distance");
  return readouts;
}

/// "16", or "16,8,32".
std::vector<std::int64_t> parse_windows(const ConfigValue& value) {
  std::vector<std::int64_t> windows;
  for (const std::string& part : split(value.text, ',')) {
    windows.push_back(Values::number_of<std::int64_t>("model.window", {trimmed(part), value.where},
                                                      2, longest_window_tokens));
    if (std::ranges::count(windows, windows.back()) > 1)
      Values::refuse("model.window", value, "names a window twice");
  }
  return windows;
}

StudyConfig parse_study(const Values& values) {
  StudyConfig study{values.text("study.title").text, values.text("study.question").text,
                    values.text("study.primary")};
  const ConfigValue margin = values.text("study.margin");
  const auto colon = std::min(margin.text.find(':'), margin.text.size());
  study.margin_unit = margin.text.substr(0, colon);
  const auto size = parse_number<double>(
      std::string_view(margin.text).substr(std::min(colon + 1, margin.text.size())));
  if ((study.margin_unit != "d_z" && study.margin_unit != "gap") || !size || !(*size > 0) ||
      !std::isfinite(*size))
    Values::refuse("study.margin", margin,
                   "write d_z:0.2 (standard deviations of the differences) or gap:0.1 (a share of "
                   "the gap between source and base)");
  study.margin = *size;
  values.choice("study.family", {"arms"});
  return study;
}

}  // namespace

SweepConfig parse_sweep_config(const ConfigValues& written) {
  const Values values(written);
  SweepConfig config;
  config.model_path = values.text("model.path").text;
  if (values.text("model.random_weights").text != "none")
    config.random_weights = values.number<std::uint64_t>("model.random_weights", 0, UINT64_MAX);
  config.early_layer = values.text("model.early_layer");
  config.late_layer = values.text("model.late_layer");
  config.windows = parse_windows(values.text("model.window"));
  config.window = config.windows.front();
  if (config.windows.size() == 1) config.windows.clear();
  config.prompts_file = values.text("prompts.file").text;
  config.pairing = parse_pairing(values);
  config.chat_template = chat_template(values);
  if (values.choice("model.window_end", {"last_token", "user_end"}) == "user_end")
    config.window_end = WindowEnd::user_end;
  if (config.window_end == WindowEnd::user_end && config.chat_template == "none")
    Values::refuse("model.window_end", values.text("model.window_end"),
                   "without a chat template the user's last token is the last: set "
                   "prompts.template, or leave model.window_end out");
  auto& generation = config.generation;
  generation.max_new_tokens = values.number<std::int64_t>("generation.max_new_tokens", 0, 100000);
  generation.temperature = values.number<double>("generation.temperature", 0.0, 100.0);
  generation.top_k = values.number<std::int64_t>("generation.top_k", 0, 10000000);
  generation.top_p = values.number<double>("generation.top_p", 0.0, 1.0);
  if (generation.top_p == 0.0)
    Values::refuse("generation.top_p", values.text("generation.top_p"), "must be above 0");
  generation.repetition_penalty =
      values.number<double>("generation.repetition_penalty", 0.01, 100.0);
  generation.samples = values.number<std::int32_t>("generation.samples", 1, 1000000);
  generation.stop_at_eos = values.yes_or_no("generation.stop_at_eos");
  config.device = values.choice("run.device", {"auto", "cpu", "cuda"});
  config.dtype = values.choice("run.dtype", {"auto", "float32", "bfloat16", "float16"});
  if (values.text("run.threads").text != "auto")
    config.threads = values.number<int>("run.threads", 1, 1024);
  if (const ConfigValue memory = values.text("run.device_memory"); memory.text != "auto") {
    config.device_memory = parse_quantity(memory.text, byte_units).value_or(0);
    if (config.device_memory == 0)
      Values::refuse("run.device_memory", memory, "write auto, or a size like 80GB");
  }
  config.readouts = parse_readouts(values);
  config.study = parse_study(values);
  config.token_sets = values.text("readouts.token_sets").text;
  config.filler = values.text("prompts.filler").text;
  config.seed = values.number<std::uint64_t>("sweep.seed", 0, UINT64_MAX);
  if (values.text("sweep.bundle_rows").text != "auto")
    config.bundle_rows = values.number<std::int64_t>("sweep.bundle_rows", least_bundle_rows, 1024);
  if (const auto arms = written.find("sweep.arm"); arms != written.end())
    config.arms = arms->second;
  if (const auto controls = written.find("sweep.control"); controls != written.end())
    config.controls = controls->second;
  config.lines = config_lines(written);
  return config;
}

}  // namespace rvsweep
