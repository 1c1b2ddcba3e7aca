#pragma once
// "Did you mean": the known name nearest to a mistyped one.
#include <span>
#include <string>
#include <string_view>

namespace rvsweep {

/// The name with the fewest single-character edits from `name`; the first of equals.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace rvsweep
