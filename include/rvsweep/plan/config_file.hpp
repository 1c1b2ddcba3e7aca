#pragma once
// INI files and --set, merged: which value each key has and where it was written.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace rvsweep {

/// One written value and its place ("jobs/notebook.cfg:12", or "--set").
struct ConfigValue {
  std::string text;
  std::string where;
};

/// "section.key" -> its values in writing order; only sweep.arm and
/// sweep.control may have more than one.
using ConfigValues = std::map<std::string, std::vector<ConfigValue>>;

/// One key of the contract.
struct ConfigKey {
  std::string name;           // section.key
  std::string default_value;  // empty: none
  bool required = false;
  bool repeatable = false;
};

/// Every key there is, in the order of --dump-config.
const std::vector<ConfigKey>& config_keys();

/// Reads the files in turn, then `sets` ("section.key=value"); a later source replaces a key, and
/// all arm (or control) lines of a source together replace those before. Defaults are not filled
/// in. Throws InputError naming file, line and key: unreadable or malformed file, unknown key (with
/// the nearest known one), a key written twice in one file, a required key missing.
ConfigValues read_config(const std::vector<std::filesystem::path>& files,
                         const std::vector<std::string>& sets);

/// A merged configuration that a sweep has stored; `where` stands for the file's name in messages.
ConfigValues read_config_text(const std::string& text, const std::string& where);

/// The merged configuration as one INI file, defaults filled in: reads back to the same sweep.
std::string dump_config(const ConfigValues& values);

}  // namespace rvsweep
