#include "tokenizer/pre_tokenizer.hpp"

#include <algorithm>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

const char* const supported =
    "supported are ByteLevel, a Sequence of Split and Digits that ends in ByteLevel, and with "
    "byte_fallback null and Metaspace";

std::string escaped(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonPlace& place, Symbols symbols) {
  if (symbols == Symbols::characters) {
    if (!place.is_null()) add_over_characters(place);
    return;
  }
  if (place.is_null()) place.refuse("null (text that is not cut into words)", supported);
  add_over_bytes(place);
  if (!has_byte_level_) place.refuse("a pre-tokenizer without ByteLevel", supported);
}

void PreTokenizer::add_over_bytes(const JsonPlace& place) {
  if (has_byte_level_) place.refuse("a component after ByteLevel", supported);
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("pretokenizers");
    for (std::size_t i = 0; i < parts.array().size(); ++i) add_over_bytes(parts.element(i));
  } else if (type == "Split") {
    add_split(place);
  } else if (type == "Digits") {
    const bool individual = place.member("individual_digits").flag();
    cuts_.push_back(
        {Pattern(individual ? R"(\p{N})" : R"(\p{N}+)", place.where(), UnicodeVersion::v17)});
  } else if (type == "ByteLevel") {
    has_byte_level_ = true;
    add_prefix_space_ = place.member("add_prefix_space").flag();
    if (place.member("use_regex").flag_or(true))
      byte_level_cut_.push_back({Pattern(gpt2_words, place.where())});
  } else {
    place.refuse(type, supported);
  }
}

void PreTokenizer::add_split(const JsonPlace& place) {
  const JsonPlace pattern = place.member("pattern");
  const JsonPlace regex = pattern.member("Regex");
  const std::string expression =
      regex.is_null() ? escaped(pattern.member("String").text()) : regex.text();
  const std::string behavior = place.member("behavior").text();
  const bool invert = place.member("invert").flag();
  if (behavior != "Isolated" && behavior != "Removed")
    place.member("behavior").refuse(behavior, "supported are Isolated and Removed");
  const bool keep_all = behavior == "Isolated";
  cuts_.push_back({Pattern(expression, pattern.where()), keep_all || invert, keep_all || !invert});
}

// Older files have add_prefix_space in place of prepend_scheme.
void PreTokenizer::add_over_characters(const JsonPlace& place) {
  if (const std::string type = place.type(); type != "Metaspace")
    place.refuse(type + " with byte_fallback", supported);
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

std::vector<AlignedView> PreTokenizer::apply(const Cut& cut, AlignedView piece) {
  std::vector<AlignedView> parts;
  const auto keep = [&](std::size_t begin, std::size_t end, bool wanted) {
    if (wanted && begin < end) parts.push_back(piece.substr(begin, end - begin));
  };
  std::size_t done = 0;
  for (const Span& match : cut.pattern.matches(piece.text)) {
    keep(done, match.begin, cut.keep_between);
    keep(match.begin, match.end, cut.keep_matches);
    done = match.end;
  }
  keep(done, piece.text.size(), cut.keep_between);
  return parts;
}

void PreTokenizer::words_over_bytes(AlignedView text,
                                    const std::function<void(AlignedView)>& visit) const {
  std::vector<AlignedView> pieces{text};
  for (const Cut& cut : cuts_) {
    std::vector<AlignedView> smaller;
    for (const AlignedView piece : pieces) {
      const std::vector<AlignedView> parts = apply(cut, piece);
      smaller.insert(smaller.end(), parts.begin(), parts.end());
    }
    pieces = std::move(smaller);
  }
  const auto visit_words = [&](AlignedView piece) {
    if (byte_level_cut_.empty()) return visit(piece);
    for (const AlignedView word : apply(byte_level_cut_.front(), piece)) visit(word);
  };
  for (const AlignedView piece : pieces) {
    if (!add_prefix_space_ || piece.text.starts_with(' ')) {
      visit_words(piece);
    } else {
      AlignedText spaced(piece);
      spaced.prepend(" ");
      visit_words(spaced.view());
    }
  }
}

void PreTokenizer::for_each_word(AlignedView text,
                                 const std::function<void(AlignedView)>& visit) const {
  if (text.text.empty()) return;
  if (has_byte_level_) return words_over_bytes(text, visit);
  if (!metaspace_) return visit(text);
  const std::string& mark = metaspace_->mark;
  AlignedText marked(text);
  marked.replace(" ", mark);
  const bool prepends = metaspace_->prepend == Metaspace::always ||
                        (metaspace_->prepend == Metaspace::first && text.origin[0].begin == 0);
  if (prepends && !marked.text.starts_with(mark)) marked.prepend(mark);
  for (std::size_t begin = 0; begin < marked.text.size();) {
    const std::size_t next =
        metaspace_->split ? marked.text.find(mark, begin + 1) : marked.text.npos;
    const std::size_t end = std::min(next, marked.text.size());
    visit(marked.view().substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace rvsweep
