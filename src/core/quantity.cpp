#include "rvsweep/core/quantity.hpp"

#include <stdexcept>

namespace rvsweep {

std::optional<double> parse_quantity(const std::string& text, const Units& units) {
  std::size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  const auto unit = units.find(text.substr(end));
  if (unit == units.end() || !(value > 0)) return std::nullopt;
  return value * unit->second;
}

}  // namespace rvsweep
