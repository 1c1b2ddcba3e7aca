#include "rvsweep/core/builtin_files.hpp"

#include <utility>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/read_file.hpp"

namespace rvsweep {
namespace {

constexpr std::pair<std::string_view, std::string_view> files[] = {
#include "builtin_files.inc"  // {name, content}, made by src/builtin_files.cmake
};

}  // namespace

std::string_view builtin_file(std::string_view name) {
  for (const auto& [known, content] : files)
    if (known == name) return content;
  RVSWEEP_UNREACHABLE(std::string(name) + " is not a shipped file");
}

std::string builtin_or_file(const std::string& setting, std::string_view name,
                            const std::string& key) {
  if (setting == "builtin") return std::string(builtin_file(name));
  auto bytes = read_file(setting);
  if (!bytes) throw InputError(setting, "cannot be read", key + " must be builtin or name a file");
  return std::move(*bytes);
}

}  // namespace rvsweep
