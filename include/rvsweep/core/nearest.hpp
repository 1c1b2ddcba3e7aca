#pragma once
// "Did you mean": the known name nearest to a mistyped one.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

/// The name with the fewest single-character edits from `name`; the first of equals.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// The item of `known` that is called `name`. Where there is none throws InputError of `where`,
/// "unknown `what`", with the nearest name.
template <class Range>
const auto& find_named(const Range& known, const std::string& name, const std::string& where,
                       const std::string& what) {
  std::vector<std::string> names;
  for (const auto& item : known) {
    if (item.name == name) return item;
    names.push_back(item.name);
  }
  throw InputError(where, "unknown " + what, "did you mean " + nearest_name(name, names) + "?");
}

}  // namespace rvsweep
