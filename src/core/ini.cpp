#include "rvsweep/core/ini.hpp"

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/split.hpp"

namespace rvsweep {

std::vector<IniEntry> read_ini(std::istream& stream, const std::string& file) {
  std::vector<IniEntry> entries;
  std::string line, section;
  for (int number = 1; std::getline(stream, line); ++number) {
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto equals = line.find('=');
    const bool is_section = line.front() == '[' && line.back() == ']';
    if (is_section ? line == "[]" || line.ends_with(".]") : equals == std::string::npos)
      throw InputError(file + ":" + std::to_string(number),
                       "is neither [section], key = value nor # comment", "correct the line");
    if (is_section)
      section = line.substr(1, line.size() - 2) + ".";
    else
      entries.push_back(
          {section + trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)), number});
  }
  return entries;
}

}  // namespace rvsweep
