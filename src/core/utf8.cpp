#include "rvsweep/core/utf8.hpp"

#include "rvsweep/core/error.hpp"

namespace rvsweep::utf8 {

// Table 3-7 of the Unicode standard: only the second byte's range depends on the first byte.
Step first(std::string_view text) {
  constexpr char32_t replacement = 0xFFFD;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {replacement, 1, false};
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code_point = lead & (0xFF >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    const bool continues = i < text.size() && byte(i) >= (i == 1 ? lowest : 0x80) &&
                           byte(i) <= (i == 1 ? highest : 0xBF);
    if (!continues) return {replacement, i, false};
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  return {code_point, size, true};
}

std::size_t first_ill_formed(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Step step = first(text.substr(i));
    if (!step.well_formed) return i;
    i += step.size;
  }
  return std::string_view::npos;
}

std::string replace_ill_formed(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Step step = first(bytes);
    text += step.well_formed ? bytes.substr(0, step.size) : "\xEF\xBF\xBD";
    bytes.remove_prefix(step.size);
  }
  return text;
}

std::string_view without_mark(std::string_view text, const std::string& where) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    throw InputError(where, "is UTF-16", "save the file as UTF-8 (Excel: CSV UTF-8)");
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace rvsweep::utf8
