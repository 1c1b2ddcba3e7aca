#pragma once
// Numbers with a unit: "30m", "512GB".
#include <map>
#include <optional>
#include <string>

namespace rvsweep {

/// What one of each unit is in the unit that is computed in.
using Units = std::map<std::string, double>;

inline const Units time_units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
inline const Units byte_units{{"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}};

/// A number above 0 followed at once by one of `units` ("" for none); nothing where `text` is no
/// such quantity.
std::optional<double> parse_quantity(const std::string& text, const Units& units);

}  // namespace rvsweep
