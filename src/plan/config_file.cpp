#include "rvsweep/plan/config_file.hpp"

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <set>
#include <sstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/nearest.hpp"
#include "rvsweep/core/read_file.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {
namespace {

namespace po = boost::program_options;

/// Boost parses but does not say where: the lines of every section.key, in order, and malformed
/// ones.
struct KeyLines {
  std::map<std::string, std::vector<int>> of_key;
  int malformed = 0;  // the first line that is neither comment, section nor key = value

  explicit KeyLines(const std::string& text) {
    std::istringstream stream(text);
    std::string line, section;
    for (int number = 1; std::getline(stream, line); ++number) {
      line = trimmed(line.substr(0, line.find('#')));
      if (line.empty()) continue;
      if (line.front() == '[' && line.back() == ']') {
        section = line.substr(1, line.size() - 2) + ".";
        // Boost reads "[]" out of bounds and takes "[a.]" for "[a]".
        if ((section.size() == 1 || section.ends_with("..")) && malformed == 0) malformed = number;
      } else if (const auto equals = line.find('='); equals != std::string::npos) {
        of_key[section + trimmed(line.substr(0, equals))].push_back(number);
      } else if (malformed == 0) {
        malformed = number;
      }
    }
  }
};

const ConfigKey& known_key(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  throw InputError(where, "unknown key " + name, "did you mean " + nearest_name(name, names) + "?");
}

std::string read_text(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text || text->empty())
    throw InputError(file.string(), "cannot be read as a config file", "check the --config option");
  return std::move(*text);
}

ConfigValues parse_text(const std::string& text, const std::string& file) {
  const KeyLines lines(text);
  if (lines.malformed != 0)
    throw InputError(file + ":" + std::to_string(lines.malformed),
                     "is neither [section], key = value nor # comment", "correct the line");
  std::istringstream stream(text);
  po::parsed_options parsed(nullptr);
  try {
    parsed = po::parse_config_file(stream, po::options_description(), /*allow_unregistered=*/true);
  } catch (const po::error& error) {
    throw InputError(file, error.what(), "correct the file");
  }
  ConfigValues values;
  for (const auto& option : parsed.options) {
    auto& written = values[option.string_key];
    const auto& at = lines.of_key.at(option.string_key);
    const std::string where = file + ":" + std::to_string(at.at(written.size()));
    const ConfigKey& key = known_key(option.string_key, where);
    if (!written.empty() && !key.repeatable)
      throw InputError(
          where, key.name + " is written a second time (first at " + written.front().where + ")",
          "keep one of the two");
    written.push_back({trimmed(option.value.front()), where});
  }
  return values;
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
    written.push_back({trimmed(set.substr(equals + 1)), "--set " + name});
  }
  return values;
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys{
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
      {.name = "prompts.template", .default_value = "none"},
      {.name = "prompts.filler", .default_value = "builtin"},
      {.name = "generation.max_new_tokens", .default_value = "50"},
      {.name = "generation.temperature", .default_value = "0.7"},
      {.name = "generation.top_k", .default_value = "0"},
      {.name = "generation.top_p", .default_value = "1"},
      {.name = "generation.samples", .default_value = "1"},
      {.name = "generation.stop_at_eos", .default_value = "true"},
      {.name = "run.device", .default_value = "auto"},
      {.name = "run.dtype", .default_value = "auto"},
      {.name = "run.threads", .default_value = "auto"},
      {.name = "readouts.spectra_prompt", .default_value = "true"},
      {.name = "readouts.spectra_generated", .default_value = "true"},
      {.name = "readouts.keywords", .default_value = "true"},
      {.name = "readouts.first_token", .default_value = "true"},
      {.name = "readouts.reencode", .default_value = "false"},
      {.name = "readouts.copying", .default_value = "false"},
      {.name = "readouts.families", .default_value = "builtin"},
      {.name = "readouts.forced", .default_value = "false"},
      {.name = "readouts.step_trace", .default_value = "false"},
      {.name = "readouts.logit_lens", .default_value = "none"},
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
  for (const auto& file : files) take(parse_text(read_text(file), file.string()));
  take(read_sets(sets));
  for (const ConfigKey& key : config_keys())
    if (key.required && !merged.contains(key.name))
      throw InputError(files.empty() ? "" : files.back().string(), "no file sets " + key.name,
                       "add it, or give --set " + key.name + "=...");
  return merged;
}

ConfigValues read_config_text(const std::string& text, const std::string& where) {
  return parse_text(text, where);
}

std::string dump_config(const ConfigValues& values) {
  std::string text, section;
  for (const ConfigKey& key : config_keys()) {
    const auto dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      text += (text.empty() ? "[" : "\n[") + (section = key.name.substr(0, dot)) + "]\n";
    }
    const std::string name = key.name.substr(dot + 1);
    const auto found = values.find(key.name);
    if (found == values.end()) {
      if (!key.repeatable) text += name + " = " + key.default_value + "\n";
    } else {
      for (const auto& value : found->second) text += name + " = " + value.text + "\n";
    }
  }
  return text;
}

}  // namespace rvsweep
