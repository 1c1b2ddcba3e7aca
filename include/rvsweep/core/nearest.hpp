#pragma once
// What to say of a name that is not known.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

/// "did you mean X?" with the name that takes the fewest single-character edits, the first of
/// equals; "choose from X, Y" where even that takes more edits than half of `name` and few are
/// known.
std::string name_hint(std::string_view name, std::span<const std::string> known);

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
  throw InputError(where, "unknown " + what, name_hint(name, names));
}

}  // namespace rvsweep
