#include "tokenizer/pre_tokenizer.hpp"

#include <algorithm>
#include <map>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The characters that the tokenizers package takes for punctuation: ASCII's, and Unicode 8's.
// Left out are ranges in which all punctuation is newer, whatever version PCRE2 knows.
constexpr std::string_view punctuation =
    R"((?![\x{61D}\x{9FD}-\x{A76}\x{C77}-\x{C84}\x{1B4E}-\x{1B4F}\x{1B7D}-\x{1B7F}\x{2E43}-\x{2E5D})"
    R"(\x{10D6E}-\x{10F89}\x{113D4}-\x{1145D}\x{11660}-\x{116B9}\x{1183B}-\x{11FFF})"
    R"(\x{12FF1}-\x{12FF2}\x{16D6D}-\x{16FE2}\x{1E5FF}-\x{1E95F}]))"
    R"([\p{P}!-\/:-@\[-`{-~\x{166D}\x{111C9}])";

const char* const supported =
    "supported are ByteLevel with Split, Digits and Punctuation around it, and with byte_fallback "
    "null, these three and Metaspace";

std::string escaped(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// Matches of a pattern in bytes written as the characters of GPT-2's table.
std::vector<Span> matches_in_alphabet(
    const std::function<std::vector<Span>(std::string_view)>& matches, std::string_view bytes) {
  std::string written;
  std::vector<std::size_t> byte_at;  // of each byte of `written`, and of its end
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    written += letter_of_byte(static_cast<unsigned char>(bytes[i]));
    byte_at.resize(written.size(), i);
  }
  byte_at.push_back(bytes.size());
  std::vector<Span> spans = matches(written);
  for (Span& span : spans) span = {byte_at[span.begin], byte_at[span.end]};
  return spans;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonPlace& place, Symbols symbols) {
  if (!place.is_null()) add(place, symbols);
  if (symbols == Symbols::characters) return;
  if (place.is_null()) place.refuse("null (text that is not cut into words)", supported);
  if (!has_byte_level_) place.refuse("a pre-tokenizer without ByteLevel", supported);
}

void PreTokenizer::add(const JsonPlace& place, Symbols symbols) {
  const std::string type = place.type();
  if (metaspace_) place.refuse(type + " after Metaspace", supported);
  if (type == "Sequence") {
    const JsonPlace parts = place.member("pretokenizers");
    for (std::size_t i = 0; i < parts.array().size(); ++i) add(parts.element(i), symbols);
  } else if (type == "Split") {
    add_split(place);
  } else if (type == "Digits") {
    const bool individual = place.member("individual_digits").flag();
    const Pattern digits(individual ? R"(\p{N})" : R"(\p{N}+)", place.where(), UnicodeVersion::v17);
    add_cut({[digits](std::string_view text) { return digits.matches(text); }});
  } else if (type == "Punctuation") {
    const Regex marks(punctuation, place.where(), LetterCase::matters);
    add_cut({[marks](std::string_view text) { return marks.matches(text); },
             behavior_of(place.member("behavior"))});
  } else if (type == "ByteLevel" && symbols == Symbols::bytes && !has_byte_level_) {
    add_byte_level(place);
  } else if (type == "Metaspace" && symbols == Symbols::characters) {
    add_metaspace(place);
  } else {
    place.refuse(symbols == Symbols::characters ? type + " with byte_fallback" : type, supported);
  }
}

PreTokenizer::Behavior PreTokenizer::behavior_of(const JsonPlace& place) {
  static const std::map<std::string, Behavior> behaviors{
      {"Isolated", Behavior::isolated},
      {"Removed", Behavior::removed},
      {"Contiguous", Behavior::contiguous},
      {"MergedWithPrevious", Behavior::merged_with_previous},
      {"MergedWithNext", Behavior::merged_with_next}};
  const std::string name = place.is_null() ? "Isolated" : place.text();
  const auto found = behaviors.find(name);
  if (found == behaviors.end()) place.refuse(name, "it is none of the tokenizers package");
  return found->second;
}

/// Behind ByteLevel a component sees the text that it has written.
void PreTokenizer::add_cut(Cut cut) {
  cut.in_alphabet = has_byte_level_;
  (has_byte_level_ ? byte_level_cuts_ : cuts_).push_back(std::move(cut));
}

void PreTokenizer::add_split(const JsonPlace& place) {
  const JsonPlace pattern = place.member("pattern");
  const JsonPlace regex = pattern.member("Regex");
  const Pattern expression(
      regex.is_null() ? escaped(pattern.member("String").text()) : regex.text(), pattern.where());
  add_cut({[expression](std::string_view text) { return expression.matches(text); },
           behavior_of(place.member("behavior")), place.member("invert").flag()});
}

void PreTokenizer::add_byte_level(const JsonPlace& place) {
  add_prefix_space_ = place.member("add_prefix_space").flag();
  has_byte_level_ = true;
  if (!place.member("use_regex").flag_or(true)) return;
  const Pattern words(gpt2_words, place.where());
  byte_level_cuts_.push_back({[words](std::string_view text) { return words.matches(text); }});
}

// Older files have add_prefix_space in place of prepend_scheme.
void PreTokenizer::add_metaspace(const JsonPlace& place) {
  Metaspace metaspace{place.member("replacement").text(), Metaspace::always,
                      place.member("split").flag_or(true)};
  if (metaspace.mark.empty()) throw InputError(place.where() + ".replacement", "is empty");
  const JsonPlace scheme = place.member("prepend_scheme");
  const std::string prepend = scheme.is_null() ? "always" : scheme.text();
  if (prepend == "first")
    metaspace.prepend = Metaspace::first;
  else if (prepend == "never")
    metaspace.prepend = Metaspace::never;
  else if (prepend != "always")
    scheme.refuse(prepend, "supported are always, first and never");
  if (!place.member("add_prefix_space").flag_or(true) && metaspace.prepend != Metaspace::never)
    throw InputError(place.where(), "add_prefix_space is false, but prepend_scheme is " + prepend);
  metaspace_ = metaspace;
}

/// What the cut makes of a text: matches and what lies between them, joined as its behavior says.
std::vector<Span> PreTokenizer::cut_at(const Cut& cut, std::string_view text) {
  struct Part {
    Span span;
    bool is_match;
  };
  std::vector<Part> parts;
  std::size_t done = 0;
  const auto add_between = [&](std::size_t end) {
    if (done < end) parts.push_back({{done, end}, cut.invert});
  };
  for (const Span& match :
       cut.in_alphabet ? matches_in_alphabet(cut.matches, text) : cut.matches(text)) {
    add_between(match.begin);
    parts.push_back({match, !cut.invert});
    done = match.end;
  }
  add_between(text.size());
  const bool backwards = cut.behavior == Behavior::merged_with_next;
  const bool merges = backwards || cut.behavior == Behavior::merged_with_previous;
  if (backwards) std::ranges::reverse(parts);
  std::vector<Span> spans;
  bool after_match = false;
  for (const auto& [span, is_match] : parts) {
    const bool joins = merges ? is_match && !after_match
                              : cut.behavior == Behavior::contiguous && is_match == after_match;
    after_match = is_match;
    if (is_match && cut.behavior == Behavior::removed) continue;
    if (joins && !spans.empty())
      spans.back() = {std::min(spans.back().begin, span.begin),
                      std::max(spans.back().end, span.end)};
    else
      spans.push_back(span);
  }
  if (backwards) std::ranges::reverse(spans);
  return spans;
}

std::vector<AlignedView> PreTokenizer::pieces_of(const std::vector<Cut>& cuts, AlignedView text) {
  std::vector<AlignedView> pieces{text};
  for (const Cut& cut : cuts) {
    std::vector<AlignedView> smaller;
    for (const AlignedView piece : pieces)
      for (const Span& span : cut_at(cut, piece.text))
        if (span.begin < span.end)
          smaller.push_back(piece.substr(span.begin, span.end - span.begin));
    pieces = std::move(smaller);
  }
  return pieces;
}

void PreTokenizer::visit_bytes(AlignedView piece,
                               const std::function<void(AlignedView)>& visit) const {
  if (add_prefix_space_ && !piece.text.starts_with(' ')) {
    AlignedText spaced(piece);
    spaced.prepend(" ");
    for (const AlignedView word : pieces_of(byte_level_cuts_, spaced.view())) visit(word);
  } else {
    for (const AlignedView word : pieces_of(byte_level_cuts_, piece)) visit(word);
  }
}

void PreTokenizer::visit_marked(AlignedView piece,
                                const std::function<void(AlignedView)>& visit) const {
  const std::string& mark = metaspace_->mark;
  AlignedText marked(piece);
  marked.replace(" ", mark);
  const bool prepends = metaspace_->prepend == Metaspace::always ||
                        (metaspace_->prepend == Metaspace::first && piece.origin[0].begin == 0);
  if (prepends && !marked.text.starts_with(mark)) marked.prepend(mark);
  for (std::size_t begin = 0; begin < marked.text.size();) {
    const std::size_t next =
        metaspace_->split ? marked.text.find(mark, begin + 1) : marked.text.npos;
    const std::size_t end = std::min(next, marked.text.size());
    visit(marked.view().substr(begin, end - begin));
    begin = end;
  }
}

void PreTokenizer::for_each_word(AlignedView text,
                                 const std::function<void(AlignedView)>& visit) const {
  if (text.text.empty()) return;
  for (const AlignedView piece : pieces_of(cuts_, text)) {
    if (has_byte_level_)
      visit_bytes(piece, visit);
    else if (metaspace_)
      visit_marked(piece, visit);
    else
      visit(piece);
  }
}

}  // namespace rvsweep
