#include "rvsweep/plan/config_file.hpp"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <sstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/ini.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/plan/directions.hpp"
#include "rvsweep/text/keyword_tokens.hpp"

namespace rvsweep {
namespace {

const ConfigKey& known_key(const std::string& name, const std::string& where) {
  return find_named(config_keys(), name, where, "key " + name);
}

/// An arm with every choice of a setting ("positions=") as `kept` writes it.
template <class Kept>
std::string with_kept(const std::string& arm, std::string_view setting, const Kept& kept) {
  constexpr std::string_view blanks = " \t";
  std::string result;
  std::size_t begin = 0;  // of what result lacks
  for (std::size_t at = 0; (at = arm.find(setting, at)) != std::string::npos;) {
    const bool is_word = at > 0 && blanks.find(arm[at - 1]) != std::string_view::npos;
    at += setting.size();
    if (!is_word) continue;
    const auto end = std::min(arm.find_first_of(blanks, at), arm.size());
    auto choices = split(arm.substr(at, end - at), ',');
    for (std::string& choice : choices) choice = kept(choice);
    result += fmt::format("{}{}", arm.substr(begin, at - begin), fmt::join(choices, ","));
    begin = at = end;
  }
  return result + arm.substr(begin);
}

/// An arm as the sweep keeps it: with the words in place of the files of positions=keywords:FILE,
/// which may move, and the hash of what the file of a direction holds.
std::string with_content(const std::string& arm) {
  static const std::string list = "keywords:";
  std::string words = with_kept(arm, "positions=", [](const std::string& choice) {
    if (!choice.starts_with(list) || choice == list) return choice;
    return fmt::format("words:{}", fmt::join(read_word_list(choice.substr(list.size())), "+"));
  });
  for (const char* setting : {"direction=", "orthogonal_to="})
    words = with_kept(words, setting, with_hash);
  return words;
}

ConfigValue value_of(const ConfigKey& key, const std::string& text, const std::string& where) {
  return {key.name == "sweep.arm" ? with_content(text) : text, where};
}

ConfigValues read_values(std::istream& stream, const std::string& file) {
  ConfigValues values;
  for (IniEntry& entry : read_ini(stream, file)) {
    const std::string where = file + ":" + std::to_string(entry.line);
    const ConfigKey& key = known_key(entry.key, where);
    auto& written = values[entry.key];
    if (!written.empty() && !key.repeatable)
      throw InputError(
          where, key.name + " is written a second time (first at " + written.front().where + ")",
          "keep one of the two");
    written.push_back(value_of(key, entry.value, where));
  }
  return values;
}

ConfigValues read_config_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file) || stream.peek() == EOF)
    throw InputError(file.string(), "cannot be read as a config file", "check the --config option");
  return read_values(stream, file.string());
}

ConfigValues read_sets(const std::vector<std::string>& sets) {
  ConfigValues values;
  for (const std::string& set : sets) {
    const auto equals = set.find('=');
    if (equals == std::string::npos)
      throw InputError("--set " + set, "has no '='", "write --set section.key=value");
    const std::string name = trimmed(set.substr(0, equals));
    const ConfigKey& key = known_key(name, "--set " + set);
    if (set.find_first_of("#\n", equals) != std::string::npos)
      throw InputError("--set " + name, "has '#' or a line break in its value",
                       "a config file, which the results keep, cannot hold it");
    auto& written = values[name];
    if (!key.repeatable) written.clear();
    written.push_back(value_of(key, trimmed(set.substr(equals + 1)), "--set " + name));
  }
  return values;
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys{
      {.name = "study.title", .default_value = ""},
      {.name = "study.question", .default_value = ""},
      {.name = "study.primary", .default_value = ""},
      {.name = "study.margin", .default_value = "d_z:0.2"},
      {.name = "study.family", .default_value = "arms"},
      {.name = "model.path", .default_value = "", .required = true},
      {.name = "model.random_weights", .default_value = "none"},
      {.name = "model.early_layer", .default_value = "12.5%"},
      {.name = "model.late_layer", .default_value = "75%"},
      {.name = "model.window", .default_value = "16"},
      {.name = "model.window_end", .default_value = "last_token"},
      {.name = "prompts.file", .default_value = "", .required = true},
      {.name = "prompts.pairing", .default_value = "listed"},
      {.name = "prompts.source_groups", .default_value = "none"},
      {.name = "prompts.base_groups", .default_value = "none"},
      {.name = "prompts.pairs", .default_value = "0"},
      {.name = "prompts.matched_on", .default_value = "none"},
      {.name = "prompts.caliper", .default_value = "0.2"},
      {.name = "prompts.template", .default_value = "none"},
      {.name = "prompts.filler", .default_value = "builtin"},
      {.name = "generation.max_new_tokens", .default_value = "50"},
      {.name = "generation.temperature", .default_value = "0.7"},
      {.name = "generation.top_k", .default_value = "0"},
      {.name = "generation.top_p", .default_value = "1"},
      {.name = "generation.repetition_penalty", .default_value = "1"},
      {.name = "generation.samples", .default_value = "1"},
      {.name = "generation.stop_at_eos", .default_value = "true"},
      {.name = "run.device", .default_value = "auto"},
      {.name = "run.dtype", .default_value = "auto"},
      {.name = "run.threads", .default_value = "auto"},
      {.name = "run.device_memory", .default_value = "auto"},
      {.name = "readouts.spectra_prompt", .default_value = "true"},
      {.name = "readouts.spectra_generated", .default_value = "true"},
      {.name = "readouts.spectra_sites", .default_value = "none"},
      {.name = "readouts.keywords", .default_value = "true"},
      {.name = "readouts.first_token", .default_value = "true"},
      {.name = "readouts.prompt_logprob", .default_value = "false"},
      {.name = "readouts.reencode", .default_value = "false"},
      {.name = "readouts.copying", .default_value = "false"},
      {.name = "readouts.families", .default_value = "builtin"},
      {.name = "readouts.forced", .default_value = "false"},
      {.name = "readouts.step_trace", .default_value = "false"},
      {.name = "readouts.malformed", .default_value = "false"},
      {.name = "readouts.logit_lens", .default_value = "none"},
      {.name = "readouts.attention", .default_value = "none"},
      {.name = "readouts.state_distance", .default_value = "none"},
      {.name = "readouts.token_sets", .default_value = "builtin"},
      {.name = "sweep.seed", .default_value = "1"},
      {.name = "sweep.bundle_rows", .default_value = "auto"},
      {.name = "sweep.arm", .default_value = "", .repeatable = true},
      {.name = "sweep.control", .default_value = "", .repeatable = true},
  };
  return keys;
}

ConfigValues read_config(const std::vector<std::filesystem::path>& files,
                         const std::vector<std::string>& sets) {
  ConfigValues merged;
  const auto take = [&](const ConfigValues& later) {
    for (const auto& [name, values] : later) merged[name] = values;
  };
  for (const auto& file : files) take(read_config_file(file));
  take(read_sets(sets));
  for (const ConfigKey& key : config_keys())
    if (key.required && !merged.contains(key.name))
      throw InputError(files.empty() ? "" : files.back().string(), "no file sets " + key.name,
                       "add it, or give --set " + key.name + "=...");
  return merged;
}

ConfigValues read_config_text(const std::string& text, const std::string& where) {
  std::istringstream stream(text);
  return read_values(stream, where);
}

ConfigLines config_lines(const ConfigValues& values) {
  ConfigLines lines;
  for (const ConfigKey& key : config_keys()) {
    const auto found = values.find(key.name);
    if (found != values.end())
      for (const auto& value : found->second) lines.emplace_back(key.name, value.text);
    else if (!key.default_value.empty())
      lines.emplace_back(key.name, key.default_value);
  }
  return lines;
}

ConfigLines read_config_lines(const std::string& text) {
  std::istringstream stream(text);
  ConfigLines lines;
  for (IniEntry& entry : read_ini(stream, "the stored configuration"))
    lines.emplace_back(std::move(entry.key), std::move(entry.value));
  return lines;
}

std::string config_text(const ConfigLines& lines) {
  std::string text, section;
  for (const auto& [key, value] : lines) {
    const auto dot = key.find('.');
    if (key.substr(0, dot) != section)
      text += (text.empty() ? "[" : "\n[") + (section = key.substr(0, dot)) + "]\n";
    text += key.substr(dot + 1) + " = " + value + "\n";
  }
  return text;
}

std::string dump_config(const ConfigValues& values) { return config_text(config_lines(values)); }

}  // namespace rvsweep
