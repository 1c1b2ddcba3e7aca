#include "rvsweep/text/unicode_version.hpp"

#include <algorithm>
#include <span>

#include "rvsweep/core/error.hpp"
#include "rvsweep/text/utf8.hpp"

namespace rvsweep {
namespace {

enum Category { Lu, Ll, Lm, Lo, Mn, Mc, Nd, Nl, No, Pd, Po, Sm, Sc, So, Cf, Cn };

struct CategoryRange {
  char32_t first, last;
  Category category;
};

// Differences between the files DerivedGeneralCategory.txt of Unicode 14.0, 16.0 and 17.0.
// clang-format off
constexpr CategoryRange since_unicode_14[] = {
    {0x0897, 0x0897, Mn}, {0x0CF3, 0x0CF3, Mc}, {0x0ECE, 0x0ECE, Mn}, {0x1B4E, 0x1B4F, Po},
    {0x1B7F, 0x1B7F, Po}, {0x1C89, 0x1C89, Lu}, {0x1C8A, 0x1C8A, Ll}, {0x2427, 0x2429, So},
    {0x2FFC, 0x2FFF, So}, {0x31E4, 0x31E5, So}, {0x31EF, 0x31EF, So}, {0xA7CB, 0xA7CC, Lu},
    {0xA7CD, 0xA7CD, Ll}, {0xA7DA, 0xA7DA, Lu}, {0xA7DB, 0xA7DB, Ll}, {0xA7DC, 0xA7DC, Lu},
    {0x105C0, 0x105F3, Lo}, {0x10D40, 0x10D49, Nd}, {0x10D4A, 0x10D4D, Lo}, {0x10D4E, 0x10D4E, Lm},
    {0x10D4F, 0x10D4F, Lo}, {0x10D50, 0x10D65, Lu}, {0x10D69, 0x10D6D, Mn}, {0x10D6E, 0x10D6E, Pd},
    {0x10D6F, 0x10D6F, Lm}, {0x10D70, 0x10D85, Ll}, {0x10D8E, 0x10D8F, Sm}, {0x10EC2, 0x10EC4, Lo},
    {0x10EFC, 0x10EFF, Mn}, {0x1123F, 0x11240, Lo}, {0x11241, 0x11241, Mn}, {0x11380, 0x11389, Lo},
    {0x1138B, 0x1138B, Lo}, {0x1138E, 0x1138E, Lo}, {0x11390, 0x113B5, Lo}, {0x113B7, 0x113B7, Lo},
    {0x113B8, 0x113BA, Mc}, {0x113BB, 0x113C0, Mn}, {0x113C2, 0x113C2, Mc}, {0x113C5, 0x113C5, Mc},
    {0x113C7, 0x113CA, Mc}, {0x113CC, 0x113CD, Mc}, {0x113CE, 0x113CE, Mn}, {0x113CF, 0x113CF, Mc},
    {0x113D0, 0x113D0, Mn}, {0x113D1, 0x113D1, Lo}, {0x113D2, 0x113D2, Mn}, {0x113D3, 0x113D3, Lo},
    {0x113D4, 0x113D5, Po}, {0x113D7, 0x113D8, Po}, {0x113E1, 0x113E2, Mn}, {0x116D0, 0x116E3, Nd},
    {0x1171E, 0x1171E, Mc}, {0x11B00, 0x11B09, Po}, {0x11BC0, 0x11BE0, Lo}, {0x11BE1, 0x11BE1, Po},
    {0x11BF0, 0x11BF9, Nd}, {0x11F00, 0x11F01, Mn}, {0x11F02, 0x11F02, Lo}, {0x11F03, 0x11F03, Mc},
    {0x11F04, 0x11F10, Lo}, {0x11F12, 0x11F33, Lo}, {0x11F34, 0x11F35, Mc}, {0x11F36, 0x11F3A, Mn},
    {0x11F3E, 0x11F3F, Mc}, {0x11F40, 0x11F40, Mn}, {0x11F41, 0x11F41, Mc}, {0x11F42, 0x11F42, Mn},
    {0x11F43, 0x11F4F, Po}, {0x11F50, 0x11F59, Nd}, {0x11F5A, 0x11F5A, Mn}, {0x1342F, 0x1342F, Lo},
    {0x13439, 0x1343F, Cf}, {0x13440, 0x13440, Mn}, {0x13441, 0x13446, Lo}, {0x13447, 0x13455, Mn},
    {0x13460, 0x143FA, Lo}, {0x16100, 0x1611D, Lo}, {0x1611E, 0x16129, Mn}, {0x1612A, 0x1612C, Mc},
    {0x1612D, 0x1612F, Mn}, {0x16130, 0x16139, Nd}, {0x16D40, 0x16D42, Lm}, {0x16D43, 0x16D6A, Lo},
    {0x16D6B, 0x16D6C, Lm}, {0x16D6D, 0x16D6F, Po}, {0x16D70, 0x16D79, Nd}, {0x18CFF, 0x18CFF, Lo},
    {0x1B132, 0x1B132, Lo}, {0x1B155, 0x1B155, Lo}, {0x1CC00, 0x1CCEF, So}, {0x1CCF0, 0x1CCF9, Nd},
    {0x1CD00, 0x1CEB3, So}, {0x1D2C0, 0x1D2D3, No}, {0x1DF25, 0x1DF2A, Ll}, {0x1E030, 0x1E06D, Lm},
    {0x1E08F, 0x1E08F, Mn}, {0x1E4D0, 0x1E4EA, Lo}, {0x1E4EB, 0x1E4EB, Lm}, {0x1E4EC, 0x1E4EF, Mn},
    {0x1E4F0, 0x1E4F9, Nd}, {0x1E5D0, 0x1E5ED, Lo}, {0x1E5EE, 0x1E5EF, Mn}, {0x1E5F0, 0x1E5F0, Lo},
    {0x1E5F1, 0x1E5FA, Nd}, {0x1E5FF, 0x1E5FF, Po}, {0x1F6DC, 0x1F6DC, So}, {0x1F774, 0x1F776, So},
    {0x1F77B, 0x1F77F, So}, {0x1F7D9, 0x1F7D9, So}, {0x1F8B2, 0x1F8BB, So}, {0x1F8C0, 0x1F8C1, So},
    {0x1FA75, 0x1FA77, So}, {0x1FA87, 0x1FA89, So}, {0x1FA8F, 0x1FA8F, So}, {0x1FAAD, 0x1FAAF, So},
    {0x1FABB, 0x1FABF, So}, {0x1FAC6, 0x1FAC6, So}, {0x1FACE, 0x1FACF, So}, {0x1FADA, 0x1FADC, So},
    {0x1FADF, 0x1FADF, So}, {0x1FAE8, 0x1FAE9, So}, {0x1FAF7, 0x1FAF8, So}, {0x1FBCB, 0x1FBEF, So},
    {0x2B739, 0x2B739, Lo}, {0x2EBF0, 0x2EE5D, Lo}, {0x31350, 0x323AF, Lo},
};

constexpr CategoryRange since_unicode_16[] = {
    {0x0295, 0x0295, Lo}, {0x088F, 0x088F, Lo}, {0x0C5C, 0x0C5C, Lo}, {0x0CDC, 0x0CDC, Lo},
    {0x1ACF, 0x1ADD, Mn}, {0x1AE0, 0x1AEB, Mn}, {0x20C1, 0x20C1, Sc}, {0x2B96, 0x2B96, So},
    {0xA7CE, 0xA7CE, Lu}, {0xA7CF, 0xA7CF, Ll}, {0xA7D2, 0xA7D2, Lu}, {0xA7D4, 0xA7D4, Lu},
    {0xA7F1, 0xA7F1, Lm}, {0xFBC3, 0xFBD2, So}, {0xFD90, 0xFD91, So}, {0xFDC8, 0xFDCE, So},
    {0x10940, 0x10959, Lo}, {0x10EC5, 0x10EC5, Lm}, {0x10EC6, 0x10EC7, Lo}, {0x10ED0, 0x10ED0, Po},
    {0x10ED1, 0x10ED8, So}, {0x10EFA, 0x10EFB, Mn}, {0x11B60, 0x11B60, Mn}, {0x11B61, 0x11B61, Mc},
    {0x11B62, 0x11B64, Mn}, {0x11B65, 0x11B65, Mc}, {0x11B66, 0x11B66, Mn}, {0x11B67, 0x11B67, Mc},
    {0x11DB0, 0x11DD8, Lo}, {0x11DD9, 0x11DD9, Lm}, {0x11DDA, 0x11DDB, Lo}, {0x11DE0, 0x11DE9, Nd},
    {0x16EA0, 0x16EB8, Lu}, {0x16EBB, 0x16ED3, Ll}, {0x16FF2, 0x16FF3, Lm}, {0x16FF4, 0x16FF6, Nl},
    {0x187F8, 0x187FF, Lo}, {0x18D09, 0x18D1E, Lo}, {0x18D80, 0x18DF2, Lo}, {0x1CCFA, 0x1CCFC, So},
    {0x1CEBA, 0x1CED0, So}, {0x1CEE0, 0x1CEEF, So}, {0x1CEF0, 0x1CEF0, Sm}, {0x1E6C0, 0x1E6DE, Lo},
    {0x1E6E0, 0x1E6E2, Lo}, {0x1E6E3, 0x1E6E3, Mn}, {0x1E6E4, 0x1E6E5, Lo}, {0x1E6E6, 0x1E6E6, Mn},
    {0x1E6E7, 0x1E6ED, Lo}, {0x1E6EE, 0x1E6EF, Mn}, {0x1E6F0, 0x1E6F4, Lo}, {0x1E6F5, 0x1E6F5, Mn},
    {0x1E6FE, 0x1E6FE, Lo}, {0x1E6FF, 0x1E6FF, Lm}, {0x1F6D8, 0x1F6D8, So}, {0x1F777, 0x1F77A, So},
    {0x1F8D0, 0x1F8D8, Sm}, {0x1FA54, 0x1FA57, So}, {0x1FA8A, 0x1FA8A, So}, {0x1FA8E, 0x1FA8E, So},
    {0x1FAC8, 0x1FAC8, So}, {0x1FACD, 0x1FACD, So}, {0x1FAEA, 0x1FAEA, So}, {0x1FAEF, 0x1FAEF, So},
    {0x1FBFA, 0x1FBFA, So}, {0x2B73A, 0x2B73F, Lo}, {0x2CEA2, 0x2CEAD, Lo}, {0x323B0, 0x33479, Lo},
};
// clang-format on

struct StandIn {
  Category category;
  std::string_view two, three, four;  // by length in bytes; empty where no such character changed
};

// All of Unicode 13 or older, and of the same category since.
constexpr StandIn stand_ins[] = {
    {Lu, "", "\u1E00", "\U00010400"}, {Ll, "\u0250", "\u1E01", "\U00010428"},
    {Lm, "", "\u1D2C", "\U00016B40"}, {Lo, "\u01BB", "\u4E00", "\U00020000"},
    {Mn, "", "\u0901", "\U0001D167"}, {Mc, "", "\u0903", "\U00011000"},
    {Nd, "", "", "\U0001D7CE"},       {Nl, "", "", "\U00010140"},
    {No, "", "", "\U0001F100"},       {Pd, "", "", "\U00010EAD"},
    {Po, "", "\u2020", "\U00010100"}, {Sm, "", "", "\U0001D6C1"},
    {Sc, "", "\u20A0", ""},           {So, "", "\u2600", "\U0001F600"},
    {Cf, "", "", "\U000E0001"},       {Cn, "", "\uFFFF", "\U0001FFFF"},
};

const CategoryRange* find(std::span<const CategoryRange> ranges, char32_t code_point) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), code_point,
                       [](char32_t c, const CategoryRange& range) { return c < range.first; });
  if (after == ranges.begin() || code_point > (after - 1)->last) return nullptr;
  return &*(after - 1);
}

/// Empty where `code_point` is its own stand-in.
std::string_view stand_in(char32_t code_point, std::size_t size, UnicodeVersion version) {
  const CategoryRange* newest = find(since_unicode_16, code_point);
  const CategoryRange* older = find(since_unicode_14, code_point);
  if (newest == nullptr && older == nullptr) return {};
  Category category = newest != nullptr ? newest->category : older->category;
  if (newest != nullptr && version == UnicodeVersion::v16) {
    // Unassigned in Unicode 16, but for the one letter whose category changed since.
    category = code_point == 0x295 ? Ll : Cn;
  }
  const auto* row = std::find_if(std::begin(stand_ins), std::end(stand_ins),
                                 [&](const StandIn& s) { return s.category == category; });
  const std::string_view found = size == 2 ? row->two : size == 3 ? row->three : row->four;
  RVSWEEP_EXPECT(found.size() == size, "a category without stand-in of this length");
  return found;
}

}  // namespace

std::string_view with_stand_ins(std::string_view text, UnicodeVersion version,
                                std::string& storage) {
  bool replaced = false;
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0xC0) {
      ++i;
      continue;
    }
    const utf8::Step step = utf8::first(text.substr(i));
    if (const auto found = stand_in(step.code_point, step.size, version); !found.empty()) {
      if (!replaced) storage.assign(text);
      replaced = true;
      storage.replace(i, step.size, found);
    }
    i += step.size;
  }
  return replaced ? std::string_view(storage) : text;
}

}  // namespace rvsweep
