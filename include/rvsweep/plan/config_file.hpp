#pragma once
// INI files and --set, merged: which value each key has and where it was written.
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace rvsweep {

struct ConfigValue {
  std::string text;
  std::string where;  // it was written: "jobs/notebook.cfg:12", "--set sweep.seed"
  static auto fields(auto& self) { return std::tie(self.text, self.where); }
};

/// "section.key" -> its values in the order of writing; only repeatable keys have more than one.
using ConfigValues = std::map<std::string, std::vector<ConfigValue>>;

/// One key of the contract.
struct ConfigKey {
  std::string name;           // section.key
  std::string default_value;  // empty: none, and a key that is not set is not written
  bool required = false;
  bool repeatable = false;
};

/// Every key there is, in the order of --dump-config.
const std::vector<ConfigKey>& config_keys();

/// The files and then `sets` ("section.key=value"); a later source replaces a key, and all arm (or
/// control) lines of a source together replace those before; arms have the words of their word
/// lists in place of the files. Defaults are not filled in. Throws InputError naming file, line and
/// key: unreadable or malformed file, unknown key (with the nearest known one), a key written twice
/// in one file, a required key missing.
ConfigValues read_config(const std::vector<std::filesystem::path>& files,
                         const std::vector<std::string>& sets);

/// A merged configuration that a sweep has stored; `where` stands for the file's name in messages.
ConfigValues read_config_text(const std::string& text, const std::string& where);

/// A merged configuration, defaults filled in: "section.key" and value, in the order of
/// config_keys(); a repeatable key once for each of its values.
using ConfigLines = std::vector<std::pair<std::string, std::string>>;
ConfigLines config_lines(const ConfigValues& values);

/// As an INI file, which reads back to the same sweep.
std::string config_text(const ConfigLines& lines);

/// What config_text wrote, of any version: its keys need not be known.
ConfigLines read_config_lines(const std::string& text);

/// config_text(config_lines(values))
std::string dump_config(const ConfigValues& values);

}  // namespace rvsweep
