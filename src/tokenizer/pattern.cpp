#include "tokenizer/pattern.hpp"

#include <algorithm>
#include <map>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

// Insides of character classes. PCRE2's own \s has U+180E besides, its \w neither marks nor all
// connector punctuation but every number.
constexpr std::string_view space =
    R"(\t-\r\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view not_space =
    R"(\x00-\x08\x0E-\x1F\x21-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF})"
    R"(\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
constexpr std::string_view word =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}\x{24B6}-\x{24E9})"
    R"(\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";

constexpr std::string_view categories[] = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N",  "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp"};

// Pairs that Oniguruma, ignoring case, also matches as one character (a ligature or sharp s).
constexpr std::string_view ligatures[] = {"ss", "ff", "fi", "fl", "st"};

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string translate() {
    while (!done()) {
      const char c = peek();
      if (c == '\\')
        escape(/*in_class=*/false);
      else if (c == '[')
        character_class();
      else if (c == '(')
        group();
      else if (c == '{')
        interval();
      else if (c == '^' || c == '$')
        refuse(std::string(1, c));
      else
        copy(1);
    }
    return out_;
  }

 private:
  bool done() const { return at_ >= pattern_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void copy(std::size_t size) {
    out_ += pattern_.substr(at_, size);
    at_ += size;
  }

  [[noreturn]] void refuse(const std::string& construct) const {
    throw InputError(where_, "the regular expression uses \"" + construct + "\" at byte " +
                                 std::to_string(at_) + ", which is not supported");
  }

  void escape(bool in_class) {
    static const std::map<char, std::string_view> classes{
        {'s', space}, {'S', not_space}, {'w', word}, {'d', R"(\p{Nd})"}, {'D', R"(\P{Nd})"}};
    static constexpr std::string_view same_to_both = "rnt-.*+?()[]{}|^$/\\#!\"%&,:;=@_~";
    const char c = peek(1);
    const auto put = [&](std::string_view inside, bool negated = false) {
      if (!in_class) out_ += negated ? "[^" : "[";
      out_ += inside;
      if (!in_class) out_ += ']';
      at_ += 2;
      // A "-" after a class escape stands for itself.
      if (in_class && peek() == '-' && peek(1) != ']') out_ += '\\';
    };
    if (const auto found = classes.find(c); found != classes.end())
      put(found->second);
    else if (c == 'W' && !in_class)
      put(word, /*negated=*/true);
    else if (c == 'p' || c == 'P')
      property();
    else if (same_to_both.find(c) != std::string_view::npos)
      copy(2);
    else
      refuse(std::string(pattern_.substr(at_, 2)));
  }

  void property() {
    const std::size_t end = std::min(pattern_.find('}', at_), pattern_.size() - 1);
    const std::string_view whole = pattern_.substr(at_, end + 1 - at_);
    std::string_view name = whole.size() > 4 ? whole.substr(3, whole.size() - 4) : "";
    if (name.starts_with('^')) name.remove_prefix(1);
    if (peek(2) != '{' || std::ranges::count(categories, name) == 0) refuse(std::string(whole));
    copy(whole.size());
  }

  void character_class() {
    copy(peek(1) == '^' ? 2 : 1);
    if (peek() == ']') refuse("[]");
    while (!done() && peek() != ']') {
      if (peek() == '[' || starts("&&")) refuse(std::string(pattern_.substr(at_, 2)));
      if (peek() == '\\')
        escape(/*in_class=*/true);
      else
        copy(1);
    }
    if (done()) refuse("[ without ]");
    copy(1);
  }

  void group() {
    if (peek(1) == '*') refuse("(*");
    if (peek(1) != '?') return copy(1);
    for (std::string_view opening : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"})
      if (starts(opening)) return copy(opening.size());
    if (!starts("(?i:")) refuse(std::string(pattern_.substr(at_, 4)));
    const std::size_t end = pattern_.find(')', at_);
    if (end == std::string_view::npos) refuse("( without )");
    const std::string_view inside = pattern_.substr(at_ + 4, end - at_ - 4);
    const bool letters_only = std::all_of(inside.begin(), inside.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || c == '\'' || c == '|' || c == '[' || c == ']';
    });
    const bool has_ligature = std::ranges::any_of(
        ligatures, [&](auto pair) { return inside.find(pair) != std::string_view::npos; });
    if (!letters_only || has_ligature) refuse(std::string(pattern_.substr(at_, end + 1 - at_)));
    copy(end + 1 - at_);
  }

  void interval() {
    std::size_t end = at_ + 1;
    const auto digits = [&] {
      const std::size_t first = end;
      while (end < pattern_.size() && pattern_[end] >= '0' && pattern_[end] <= '9') ++end;
      return end > first;
    };
    const bool has_least = digits();
    if (end < pattern_.size() && pattern_[end] == ',') {
      ++end;
      digits();
    }
    const bool closes = end < pattern_.size() && pattern_[end] == '}';
    const char after = end + 1 < pattern_.size() ? pattern_[end + 1] : '\0';
    if (!has_least || !closes || after == '+' || after == '?' || after == '*')
      refuse(std::string(pattern_.substr(at_, end + 2 - at_)));
    copy(end + 1 - at_);
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string pcre2_from_oniguruma(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).translate();
}

Pattern::Pattern(std::string_view oniguruma, const std::string& where, UnicodeVersion version)
    : regex_(pcre2_from_oniguruma(oniguruma, where), where, LetterCase::matters),
      version_(version) {}

std::vector<Span> Pattern::matches(std::string_view text) const {
  return regex_.matches(with_stand_ins(text, version_));
}

}  // namespace rvsweep
