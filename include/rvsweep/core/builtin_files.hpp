#pragma once
// The files of configs/readouts, compiled in so that defaults work from any folder.
#include <string>
#include <string_view>

namespace rvsweep {

/// Content of a shipped file ("regex_families.json", "filler.txt", "token_sets.json") as it was at
/// build time. ContractError for a name that is not shipped.
std::string_view builtin_file(std::string_view name);

/// Content of what a setting names: of the shipped file `name` where it is "builtin", else of the
/// file at that path. InputError, naming the path and `key`, where that cannot be read.
std::string builtin_or_file(const std::string& setting, std::string_view name,
                            const std::string& key);

}  // namespace rvsweep
