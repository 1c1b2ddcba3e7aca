#include "tokenizer/nfc.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

struct Range {
  char32_t first, last;
};

// Characters of Unicode 10.0 to 18.0 that have a combining class or a canonical decomposition
// (UnicodeData.txt, DerivedAge.txt).
constexpr Range since_unicode_9[] = {
    {0x05C8, 0x05C9},   {0x07FD, 0x07FD},   {0x0897, 0x089F},   {0x08CA, 0x08D3},
    {0x09FE, 0x09FE},   {0x0C3C, 0x0C3C},   {0x0D3B, 0x0D3C},   {0x0EBA, 0x0EBA},
    {0x1715, 0x1715},   {0x1ABF, 0x1AF0},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
    {0x105C9, 0x105C9}, {0x105E4, 0x105E4}, {0x10D24, 0x10D27}, {0x10D69, 0x10D6D},
    {0x10EAB, 0x10EAC}, {0x10ECB, 0x10ECF}, {0x10EF0, 0x10EFB}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x11383, 0x11383}, {0x11385, 0x11385}, {0x1138E, 0x1138E}, {0x11391, 0x11391},
    {0x113C5, 0x113C5}, {0x113C7, 0x113C8}, {0x113CE, 0x113D0}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16121, 0x16128}, {0x1612F, 0x1612F}, {0x16D68, 0x16D6A}, {0x16FF0, 0x16FF1},
    {0x1D127, 0x1D128}, {0x1D250, 0x1D252}, {0x1D25B, 0x1D25C}, {0x1D25F, 0x1D25F},
    {0x1D280, 0x1D281}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3},
    {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5}};

bool is_newer(char32_t code_point) {
  const auto* const range = std::ranges::lower_bound(since_unicode_9, code_point, {}, &Range::last);
  return range != std::end(since_unicode_9) && range->first <= code_point;
}

struct Character {
  utf8proc_int32_t code_point;
  utf8proc_propval_t combining_class;  // 0: a starter
  Span origin;
};

/// Canonical decompositions, marks in canonical order.
std::vector<Character> decomposed(const AlignedText& text) {
  std::vector<Character> characters;
  for (std::size_t i = 0; i < text.text.size();) {
    const utf8::Step step = utf8::first(std::string_view(text.text).substr(i));
    const Span origin = text.view().original(i, i + step.size);
    i += step.size;
    const auto code_point = static_cast<utf8proc_int32_t>(step.code_point);
    if (is_newer(step.code_point)) {
      characters.push_back({code_point, 0, origin});
      continue;
    }
    std::array<utf8proc_int32_t, 4> parts;  // no canonical decomposition is longer
    int last_class = 0;
    const auto n = utf8proc_decompose_char(
        code_point, parts.data(), std::ssize(parts),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &last_class);
    RVSWEEP_EXPECT(n > 0 && n <= std::ssize(parts), "a character has a canonical decomposition");
    for (utf8proc_ssize_t part = 0; part < n; ++part)
      characters.push_back(
          {parts[part], utf8proc_get_property(parts[part])->combining_class, origin});
  }
  for (auto run = characters.begin(); run != characters.end();) {
    const auto starts = [](const Character& c) { return c.combining_class == 0; };
    run = std::find_if_not(run, characters.end(), starts);
    const auto end = std::find_if(run, characters.end(), starts);
    std::stable_sort(run, end, [](const Character& a, const Character& b) {
      return a.combining_class < b.combining_class;
    });
    run = end;
  }
  return characters;
}

/// Makes `first` the composite of both, where there is one.
bool compose(utf8proc_int32_t& first, utf8proc_int32_t second) {
  std::array<utf8proc_int32_t, 2> pair{first, second};
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (utf8proc_normalize_utf32(pair.data(), 2, options) != 1) return false;
  if (is_newer(static_cast<char32_t>(pair[0]))) return false;
  first = pair[0];
  return true;
}

/// Composes every starter with the marks, or the next starter, that nothing keeps from it.
std::vector<Character> composed(const std::vector<Character>& characters) {
  std::vector<Character> result;
  std::ptrdiff_t starter = -1;
  for (const Character& next : characters) {
    // Characters between them have been kept, with classes in ascending order.
    const bool adjacent = starter + 1 == std::ssize(result);
    const bool reached =
        starter >= 0 && (adjacent || (next.combining_class != 0 &&
                                      result.back().combining_class < next.combining_class));
    if (reached && compose(result[starter].code_point, next.code_point)) {
      Span& origin = result[starter].origin;
      origin = {std::min(origin.begin, next.origin.begin), std::max(origin.end, next.origin.end)};
      continue;
    }
    if (next.combining_class == 0) starter = std::ssize(result);
    result.push_back(next);
  }
  return result;
}

}  // namespace

void to_nfc(AlignedText& text) {
  // Below U+0300 nothing combines or is decomposed for good.
  if (std::ranges::none_of(text.text, [](unsigned char byte) { return byte >= 0xCC; })) return;
  const std::vector<Character> characters = composed(decomposed(text));
  text.text.clear();
  text.origin.clear();
  for (const Character& character : characters) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const auto n = utf8proc_encode_char(character.code_point, bytes.data());
    text.text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(n));
    text.origin.insert(text.origin.end(), static_cast<std::size_t>(n), character.origin);
  }
}

}  // namespace rvsweep
