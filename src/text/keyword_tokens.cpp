#include "rvsweep/text/keyword_tokens.hpp"

#include <algorithm>
#include <fstream>

#include "rvsweep/core/error.hpp"
#include "rvsweep/text/words.hpp"

namespace rvsweep {
namespace {

constexpr std::string_view white_space = " \t\n\v\f\r";

Span without_white_space(std::string_view text, Span span) {
  while (span.begin < span.end && white_space.find(text[span.begin]) != std::string_view::npos)
    ++span.begin;
  while (span.begin < span.end && white_space.find(text[span.end - 1]) != std::string_view::npos)
    --span.end;
  return span;
}

}  // namespace

std::set<std::string> read_word_list(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file))
    throw InputError(file.string(), "cannot be read", "name a file with one word a line");
  std::set<std::string> words;
  std::string line;
  for (int line_number = 1; std::getline(stream, line); ++line_number) {
    const std::string_view written = std::string_view(line).substr(0, line.find('#'));
    const Span span = without_white_space(written, {0, written.size()});
    const std::string_view word = written.substr(span.begin, span.end - span.begin);
    if (word.empty()) continue;
    if (!std::all_of(word.begin(), word.end(), in_word))
      throw InputError(file.string() + ":" + std::to_string(line_number),
                       "\"" + std::string(word) + "\" is not one word",
                       "a word has letters, digits and apostrophes; write one a line");
    words.insert(ascii_lower(word));
  }
  if (words.empty()) throw InputError(file.string(), "holds no word", "write one word a line");
  return words;
}

std::vector<std::int32_t> keyword_tokens(std::string_view text, std::span<const Span> spans,
                                         const std::set<std::string>& words) {
  std::vector<std::int32_t> found;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    Span word = without_white_space(text, spans[i]);
    const std::string_view inside = text.substr(word.begin, word.end - word.begin);
    if (inside.empty() || !std::all_of(inside.begin(), inside.end(), in_word)) continue;
    while (word.begin > 0 && in_word(text[word.begin - 1])) --word.begin;
    while (word.end < text.size() && in_word(text[word.end])) ++word.end;
    if (words.contains(ascii_lower(text.substr(word.begin, word.end - word.begin))))
      found.push_back(static_cast<std::int32_t>(i));
  }
  return found;
}

}  // namespace rvsweep
