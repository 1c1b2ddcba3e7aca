#include "rvsweep/text/words.hpp"

#include <algorithm>

namespace rvsweep {
namespace {

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::string ascii_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::vector<std::string> words(std::string_view text) {
  const std::string lowered = ascii_lower(text);
  std::vector<std::string> found;
  for (auto begin = lowered.begin(); begin != lowered.end();) {
    begin = std::find_if(begin, lowered.end(), in_word);
    const auto end = std::find_if_not(begin, lowered.end(), in_word);
    if (begin != end) found.emplace_back(begin, end);
    begin = end;
  }
  return found;
}

}  // namespace rvsweep
