#include "tokenizer/added_tokens.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/utf8.hpp"

namespace rvsweep {
namespace {

// \w of Rust's regex crate: alphabetic characters (the ranges are circled and squared letters),
// marks, decimal digits, connector punctuation and the two joiners.
constexpr std::string_view rust_word_character =
    "[\\p{L}\\p{Nl}\u24B6-\u24E9\U0001F130-\U0001F149\U0001F150-\U0001F169\U0001F170-\U0001F189"
    "\\p{M}\\p{Nd}\\p{Pc}\u200C\u200D]";

/// The last character of `text`, empty where `text` is.
std::string_view last_character(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && (static_cast<unsigned char>(text[--begin]) & 0xC0) == 0x80) continue;
  return text.substr(begin);
}

std::string_view first_character(std::string_view text) {
  return text.empty() ? text : text.substr(0, utf8::first(text).size);
}

bool is_white_space(std::string_view character) {
  return !character.empty() && utf8::is_white_space(utf8::first(character).code_point);
}

std::size_t white_space_at_end(std::string_view text) {
  const std::size_t size = text.size();
  while (is_white_space(last_character(text))) text.remove_suffix(last_character(text).size());
  return size - text.size();
}

std::size_t white_space_at_front(std::string_view text) {
  const std::size_t size = text.size();
  while (is_white_space(first_character(text))) text.remove_prefix(first_character(text).size());
  return size - text.size();
}

AddedToken read_token(const JsonPlace& place) {
  return {place.member("id").token_id(),      place.member("content").text(),
          place.member("single_word").flag(), place.member("lstrip").flag(),
          place.member("rstrip").flag(),      place.member("normalized").flag(),
          place.member("special").flag()};
}

}  // namespace

AddedTokens::AddedTokens(const JsonPlace& place, const Vocabulary& vocabulary,
                         const Normalizer& normalizer) {
  if (place.is_null()) return;
  std::unordered_map<std::string, std::int32_t> known;
  std::set<std::string> special;
  std::int32_t next_id = vocabulary.n_tokens();
  for (std::size_t i = 0; i < place.array().size(); ++i) {
    const JsonPlace entry = place.element(i);
    AddedToken token = read_token(entry);
    if (token.content.empty()) continue;
    if (token.special) special.insert(token.content);
    const auto [again, is_first] = known.try_emplace(token.content);
    std::int32_t& id = again->second;
    if (is_first) {
      const auto in_vocabulary = vocabulary.id_of_token(token.content);
      id = in_vocabulary ? *in_vocabulary : next_id++;
    }
    if (id != token.id)
      throw InputError(entry.where(),
                       "token \"" + token.content + "\" states the id " + std::to_string(token.id) +
                           " but takes the id " + std::to_string(id),
                       "added tokens beyond the vocabulary are numbered on from its size");
    const auto [where, is_new] = index_of_id_.try_emplace(id, tokens_.size());
    if (is_new) tokens_.emplace_back();
    tokens_[where->second] = std::move(token);
  }
  for (AddedToken& token : tokens_) token.special = special.contains(token.content);
  build_matchers(normalizer);
}

void AddedTokens::build_matchers(const Normalizer& normalizer) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    Matcher& matcher = token.normalized ? normalized_ : verbatim_;
    AlignedText sought(token.content, 0);
    if (token.normalized) normalizer.apply(sought);
    token.sought = sought.text;
    if (token.sought.empty()) continue;
    matcher[static_cast<unsigned char>(token.sought[0])].push_back(i);
    if (token.single_word && !word_character_)
      word_character_.emplace(rust_word_character, "added_tokens");
  }
  const auto size = [&](std::size_t index) { return tokens_[index].sought.size(); };
  for (Matcher* matcher : {&verbatim_, &normalized_})
    for (auto& alike : *matcher) std::ranges::stable_sort(alike, std::greater<>(), size);
}

const AddedToken* AddedTokens::with_id(std::int32_t id) const {
  const auto found = index_of_id_.find(id);
  return found == index_of_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::with_content(std::string_view content) const {
  const auto found = std::ranges::find(tokens_, content, &AddedToken::content);
  return found == tokens_.end() ? nullptr : &*found;
}

const AddedToken* AddedTokens::longest_at_front(const Matcher& matcher,
                                                std::string_view text) const {
  for (const std::size_t index : matcher[static_cast<unsigned char>(text[0])])
    if (text.starts_with(tokens_[index].sought)) return &tokens_[index];
  return nullptr;
}

bool AddedTokens::touches_word(std::string_view before, std::string_view after) const {
  return !word_character_->matches(last_character(before)).empty() ||
         !word_character_->matches(first_character(after)).empty();
}

std::vector<Piece> AddedTokens::split(std::string_view text, const Matcher& matcher) const {
  std::vector<Piece> pieces;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at_front(matcher, text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + token->sought.size();
    at = end;
    if (token->single_word && touches_word(text.substr(0, begin), text.substr(end))) continue;
    if (token->lstrip) begin = std::max(begin - white_space_at_end(text.substr(0, begin)), done);
    if (token->rstrip) end += white_space_at_front(text.substr(end));
    if (done < begin) pieces.push_back({text.substr(done, begin - done), nullptr});
    // Nothing is left of white space that an rstrip token before it took.
    if (begin < end) pieces.push_back({text.substr(begin, end - begin), token});
    done = end;
  }
  if (done != text.size()) pieces.push_back({text.substr(done), nullptr});
  return pieces;
}

}  // namespace rvsweep
