#include "tokenizer/added_tokens.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rvsweep/core/error.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

using nlohmann::json;

const Vocabulary& vocabulary() {
  static const Vocabulary tokens({{"a", 0}, {"<s>", 1}}, "vocab");
  return tokens;
}

const Normalizer& unchanged() {
  static const Normalizer normalizer({nullptr, "tokenizer.json", "normalizer"});
  return normalizer;
}

json token(int id, const char* content, std::initializer_list<const char*> flags = {}) {
  json entry = sample::added_token(id, content);
  for (const char* flag : flags) entry[flag] = true;
  return entry;
}

/// "[id text]" for tokens, "(text)" for what lies between.
std::string pieces(const json& list, std::string_view text) {
  std::string shown;
  const AddedTokens added({list, "tokenizer.json", "added_tokens"}, vocabulary(), unchanged());
  const auto show = [&](const Piece& piece) {
    const std::string part(piece.text);
    shown +=
        piece.token ? "[" + std::to_string(piece.token->id) + " " + part + "]" : "(" + part + ")";
  };
  for (const Piece& verbatim : added.split_verbatim(text)) {
    if (verbatim.token != nullptr) {
      show(verbatim);
    } else {
      for (const Piece& piece : added.split_normalized(verbatim.text)) show(piece);
    }
  }
  return shown;
}

TEST(AddedTokens, TheLeftmostThenTheLongest) {
  const json list = {token(1, "<s>"), token(2, "<s>>"), token(3, "x<")};
  EXPECT_EQ(pieces(list, "a<s>b"), "(a)[1 <s>](b)");
  EXPECT_EQ(pieces(list, "<s>><s>"), "[2 <s>>][1 <s>]");
  EXPECT_EQ(pieces(list, "x<s>"), "[3 x<](s>)");
  EXPECT_EQ(pieces(list, "<S>"), "(<S>)");
  EXPECT_EQ(pieces(list, ""), "");
  EXPECT_EQ(pieces(json::array(), "<s>"), "(<s>)");
  EXPECT_EQ(pieces(nullptr, "<s>"), "(<s>)");
}

TEST(AddedTokens, StripWhiteSpaceAround) {
  const json list = {token(1, "<s>", {"lstrip"}), token(2, "<r>", {"rstrip"}),
                     token(3, "\n", {"lstrip"})};
  EXPECT_EQ(pieces(list, "a \t<s> b"), "(a)[1  \t<s>]( b)");
  EXPECT_EQ(pieces(list, "a <r>\t\u3000b"), "(a )[2 <r>\t\u3000](b)");
  EXPECT_EQ(pieces(list, "<r> <s>"), "[2 <r> ][1 <s>]");  // white space is taken once
  EXPECT_EQ(pieces(list, "<r>\nx"), "[2 <r>\n](x)");
  EXPECT_EQ(pieces(list, "\u200B<s>"), "(\u200B)[1 <s>]");
}

TEST(AddedTokens, SingleWordsTouchNoWord) {
  const json list = {token(2, "day", {"single_word"})};
  EXPECT_EQ(pieces(list, "a day!"), "(a )[2 day](!)");
  EXPECT_EQ(pieces(list, "day"), "[2 day]");
  for (const char* text :
       {"days", "_day", "1day", "\u00e9day", "day\u0301", "day\u200D", "\u24D0day"})
    EXPECT_EQ(pieces(list, text), "(" + std::string(text) + ")");
  EXPECT_EQ(pieces(list, "today day"), "(today )[2 day]");
}

TEST(AddedTokens, NormalizedOnesComeSecond) {
  const json list = {token(2, "ab", {"normalized"}), token(3, "bc")};
  EXPECT_EQ(pieces(list, "abc ab"), "(a)[3 bc]( )[2 ab]");
}

TEST(AddedTokens, FindsByIdAndContent) {
  const json list = {token(1, "<s>", {"special"}), token(2, "<n>", {"normalized"})};
  const AddedTokens added({list, "tokenizer.json", "added_tokens"}, vocabulary(), unchanged());
  EXPECT_EQ(added.with_id(2)->content, "<n>");
  EXPECT_EQ(added.with_content("<s>")->id, 1);
  EXPECT_TRUE(added.with_id(1)->special);
  EXPECT_FALSE(added.with_id(2)->special);
  EXPECT_EQ(added.with_id(0), nullptr);
  EXPECT_EQ(added.with_content("a"), nullptr);
}

TEST(AddedTokens, AnIdThatIsNotTheNextIsRefused) {
  EXPECT_THROW(pieces({token(5, "<x>")}, ""), InputError);
  EXPECT_THROW(pieces({token(2, "<s>")}, ""), InputError);  // has id 1 in the vocabulary
  EXPECT_THROW(pieces({token(-1, "<x>")}, ""), InputError);
  EXPECT_EQ(pieces({token(2, "<x>"), token(3, "<y>"), token(2, "<x>")}, "<y>"), "[3 <y>]");
}

TEST(AddedTokens, SaysWhatIsMissing) {
  json entry = token(2, "<x>");
  entry.erase("lstrip");
  EXPECT_THAT(
      [&] {
        pieces({token(1, "<s>"), entry}, "");
      },
      ::testing::Throws<InputError>(
          ::testing::Property(&InputError::where, "tokenizer.json, added_tokens[1].lstrip")));
}

}  // namespace
}  // namespace rvsweep
