#include "rvsweep/metrics/keywords.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "rvsweep/text/words.hpp"

namespace rvsweep {
namespace {

constexpr std::array<std::string_view, 24> keywords{
    "observe", "observing",  "awareness",  "aware",        "consciousness", "conscious",
    "process", "processing", "experience", "experiencing", "notice",        "noticing",
    "self",    "itself",     "myself",     "yourself",     "generate",      "generating",
    "emerge",  "emerging",   "direct",     "directly",     "immediate",     "simultaneously"};

/// The keywords are ASCII, so ASCII lower-casing finds what Python's does.
template <class Accept>
std::int32_t count_if_present(std::string_view text, const Accept& accept) {
  const std::string lowered = ascii_lower(text);
  return static_cast<std::int32_t>(
      std::count_if(keywords.begin(), keywords.end(), [&](std::string_view keyword) {
        return lowered.find(keyword) != std::string::npos && accept(keyword);
      }));
}

}  // namespace

std::int32_t keyword_count(std::string_view text) {
  return count_if_present(text, [](std::string_view) { return true; });
}

std::int32_t keyword_count_new(std::string_view text, std::string_view prompt) {
  const std::string known = ascii_lower(prompt);
  return count_if_present(
      text, [&](std::string_view keyword) { return known.find(keyword) == std::string::npos; });
}

double keyword_rate(std::string_view text) {
  const auto all = words(text);
  if (all.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto hits = std::count_if(all.begin(), all.end(), [](const std::string& word) {
    return std::find(keywords.begin(), keywords.end(), word) != keywords.end();
  });
  return 100.0 * static_cast<double>(hits) / static_cast<double>(all.size());
}

}  // namespace rvsweep
