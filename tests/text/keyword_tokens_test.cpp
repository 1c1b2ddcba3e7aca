#include "rvsweep/text/keyword_tokens.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {
using ::testing::HasSubstr;

using Places = std::vector<std::int32_t>;

TEST(KeywordTokens, LieInAListedWord) {
  //                        0         1         2
  //                        0123456789012345678901234
  const std::string text = " Self-aware, SELF selfish";
  const std::vector<Span> spans = {{0, 0},   {0, 3},   {3, 5},   {5, 6},   {6, 11},  {11, 12},
                                   {12, 15}, {15, 17}, {17, 22}, {22, 25}, {12, 13}, {3, 11}};
  EXPECT_EQ(keyword_tokens(text, spans, {"self"}), (Places{1, 2, 6, 7}));
  EXPECT_EQ(keyword_tokens(text, spans, {"aware"}), Places{4});
  EXPECT_EQ(keyword_tokens(text, spans, {"selfish"}), (Places{8, 9}));
  EXPECT_EQ(keyword_tokens(text, spans, {"elf"}), Places{});
}

TEST(KeywordTokens, ApostrophesAndOtherScriptsAreOfTheWord) {
  const std::string text = "don't na\u00EFve";
  const std::vector<Span> spans = {{0, 3}, {3, 5}, {5, 8}, {8, 9}, {9, 10}, {10, 12}};
  EXPECT_EQ(keyword_tokens(text, spans, {"don't"}), (Places{0, 1}));
  EXPECT_EQ(keyword_tokens(text, spans, {"na\u00EFve"}), (Places{2, 3, 4, 5}));
  EXPECT_EQ(keyword_tokens(text, spans, {"don", "na"}), Places{});
}

TEST(KeywordTokens, FromATokenizer) {
  const Tokenizer tokenizer = sample::load(sample::tokenizer_json({{" ", "s"}}));
  const Encoding encoding = tokenizer.encode_with_spans("a s s");
  EXPECT_EQ(keyword_tokens("a s s", encoding.spans, {"s"}), (Places{1, 2}));
}

class WordList : public testing::Test {
 protected:
  std::set<std::string> read(const std::string& content) {
    std::ofstream(folder_.path() / "words.txt") << content;
    return read_word_list(folder_.path() / "words.txt");
  }
  std::string refusal(const std::string& content) {
    return refusal_message([&] { read(content); });
  }
  TemporaryFolder folder_;
};

TEST_F(WordList, OneWordALine) {
  EXPECT_EQ(read("# words\n\nSelf\r\n  don't # both\nself\nna\u00EFve"),
            (std::set<std::string>{"don't", "na\u00EFve", "self"}));
}

TEST_F(WordList, NamesTheLine) {
  EXPECT_THAT(refusal("self\ntwo words\n"),
              HasSubstr("words.txt:2: \"two words\" is not one word"));
  EXPECT_THAT(refusal("self-aware"), HasSubstr("words.txt:1"));
  EXPECT_THAT(refusal("# nothing\n"), HasSubstr("holds no word"));
  EXPECT_THROW(read_word_list("/nowhere/words.txt"), InputError);
  EXPECT_THROW(read_word_list(folder_.path()), InputError);
}

}  // namespace
}  // namespace rvsweep
