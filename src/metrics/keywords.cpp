#include "rvsweep/metrics/keywords.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

namespace rvsweep {
namespace {

constexpr std::array<std::string_view, 24> keywords{
    "observe", "observing",  "awareness",  "aware",        "consciousness", "conscious",
    "process", "processing", "experience", "experiencing", "notice",        "noticing",
    "self",    "itself",     "myself",     "yourself",     "generate",      "generating",
    "emerge",  "emerging",   "direct",     "directly",     "immediate",     "simultaneously"};

/// The keywords are ASCII, so ASCII lower-casing finds what Python's does.
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::span<const std::string_view> notebook_keywords() { return keywords; }

std::int32_t keyword_count(std::string_view text) {
  const std::string lowered = lower(text);
  return static_cast<std::int32_t>(std::count_if(
      keywords.begin(), keywords.end(),
      [&](std::string_view keyword) { return lowered.find(keyword) != std::string::npos; }));
}

double keyword_rate(std::string_view text) {
  const std::string lowered = lower(text);
  std::int64_t words = 0, hits = 0;
  for (auto begin = lowered.begin(); begin != lowered.end();) {
    begin = std::find_if(begin, lowered.end(), in_word);
    const auto end = std::find_if_not(begin, lowered.end(), in_word);
    if (begin == end) break;
    ++words;
    hits +=
        std::find(keywords.begin(), keywords.end(), std::string_view(begin, end)) != keywords.end();
    begin = end;
  }
  return words == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : 100.0 * static_cast<double>(hits) / static_cast<double>(words);
}

}  // namespace rvsweep
