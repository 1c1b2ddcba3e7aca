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

}  // namespace

std::int32_t keyword_count(std::string_view text) { return keyword_count_new(text, ""); }

// The keywords are ASCII, so ASCII lower-casing finds what Python's does.
std::int32_t keyword_count_new(std::string_view text, std::string_view prompt) {
  const std::string lowered = ascii_lower(text), known = ascii_lower(prompt);
  return static_cast<std::int32_t>(std::ranges::count_if(keywords, [&](std::string_view keyword) {
    return lowered.find(keyword) != lowered.npos && known.find(keyword) == known.npos;
  }));
}

double keyword_rate(std::string_view text) {
  const auto all = words(text);
  if (all.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto hits = std::ranges::count_if(
      all, [](std::string_view word) { return std::ranges::count(keywords, word) > 0; });
  return 100.0 * static_cast<double>(hits) / static_cast<double>(all.size());
}

}  // namespace rvsweep
