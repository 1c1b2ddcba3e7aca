#include "rvsweep/text/pre_tokenizer.hpp"

#include <string>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

const char* const supported =
    "supported are ByteLevel, and a Sequence of Split and Digits that ends in ByteLevel";

std::string escaped(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonPlace& place) {
  if (place.is_null()) place.refuse("null (text that is not cut into words)", supported);
  add(place);
  if (!has_byte_level_) place.refuse("a pre-tokenizer without ByteLevel", supported);
}

void PreTokenizer::add(const JsonPlace& place) {
  if (has_byte_level_) place.refuse("a component after ByteLevel", supported);
  const std::string type = place.type();
  if (type == "Sequence") {
    const JsonPlace parts = place.member("pretokenizers");
    for (std::size_t i = 0; i < parts.array().size(); ++i) add(parts.element(i));
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

std::vector<std::string_view> PreTokenizer::apply(const Cut& cut, std::string_view piece) {
  std::vector<std::string_view> parts;
  const auto keep = [&](std::size_t begin, std::size_t end, bool wanted) {
    if (wanted && begin < end) parts.push_back(piece.substr(begin, end - begin));
  };
  std::size_t done = 0;
  for (const Span& match : cut.pattern.matches(piece)) {
    keep(done, match.begin, cut.keep_between);
    keep(match.begin, match.end, cut.keep_matches);
    done = match.end;
  }
  keep(done, piece.size(), cut.keep_between);
  return parts;
}

void PreTokenizer::for_each_word(std::string_view text,
                                 const std::function<void(std::string_view)>& visit) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const Cut& cut : cuts_) {
    std::vector<std::string_view> smaller;
    for (std::string_view piece : pieces) {
      const std::vector<std::string_view> parts = apply(cut, piece);
      smaller.insert(smaller.end(), parts.begin(), parts.end());
    }
    pieces = std::move(smaller);
  }
  std::string spaced;
  for (std::string_view piece : pieces) {
    if (add_prefix_space_ && !piece.starts_with(' ')) piece = (spaced = " ").append(piece);
    if (byte_level_cut_.empty()) {
      visit(piece);
    } else {
      for (std::string_view word : apply(byte_level_cut_.front(), piece)) visit(word);
    }
  }
}

}  // namespace rvsweep
