#include "rvsweep/core/ini.hpp"

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/split.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {

std::vector<IniEntry> read_ini(std::istream& stream, const std::string& file) {
  std::vector<IniEntry> entries;
  std::string line, section;
  for (int number = 1; std::getline(stream, line); ++number) {
    const std::string where = file + ":" + std::to_string(number);
    if (number == 1) line = utf8::without_mark(line, where);
    if (line.find('\0') != std::string::npos)
      throw InputError(where, "holds a NUL character", "remove it, or save the file as UTF-8");
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto equals = line.find('=');
    const bool is_section = line.front() == '[' && line.back() == ']';
    if (is_section ? line == "[]" || line.ends_with(".]") : equals == std::string::npos)
      throw InputError(where, "is neither [section], key = value nor # comment",
                       "correct the line");
    const std::string value = is_section ? "" : trimmed(line.substr(equals + 1));
    if (value.size() > 1 && value.front() == value.back() && (value[0] == '"' || value[0] == '\''))
      throw InputError(where, "has quotes around " + value, "write the value without them");
    if (is_section)
      section = line.substr(1, line.size() - 2) + ".";
    else
      entries.push_back({section + trimmed(line.substr(0, equals)), value, number});
  }
  return entries;
}

}  // namespace rvsweep
