#pragma once
#include <string>

#include "rvsweep/core/json_place.hpp"

namespace rvsweep {

/// Member "pattern" of a component that replaces a text: {"String": text}. Throws InputError for an
/// empty text and for a regular expression.
std::string literal_pattern(const JsonPlace& component);

}  // namespace rvsweep
