#include "tokenizer/bpe.hpp"

#include <gtest/gtest.h>

#include <random>

#include "rvsweep/core/error.hpp"
#include "support/input_error.hpp"
#include "tokenizer/sample_tokenizer.hpp"

namespace rvsweep {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Ids = std::vector<std::int32_t>;

/// Bytes `alphabet` in order, then what each merge gives.
std::vector<std::pair<std::string, std::int64_t>> tokens(const std::string& alphabet,
                                                         const Pairs& merges) {
  std::vector<std::pair<std::string, std::int64_t>> list;
  for (const char c : alphabet) list.emplace_back(std::string(1, c), list.size());
  for (const auto& [left, right] : merges) list.emplace_back(left + right, list.size());
  return list;
}

Ids encoded(const std::string& alphabet, const BpeSettings& settings, const std::string& word) {
  const Vocabulary vocabulary(tokens(alphabet, settings.merges), "vocab");
  Encoding encoding;
  Bpe(vocabulary, settings, "model").encode(AlignedText(word, 0).view(), encoding);
  return encoding.ids;
}

TEST(Bpe, EarlierMergesGoFirst) {
  const Pairs merges = {{"b", "c"}, {"a", "b"}, {"a", "bc"}};  // tokens 3, 4, 5
  EXPECT_EQ(encoded("abc", {.merges = merges}, "abc"), Ids{5});
  EXPECT_EQ(encoded("abc", {.merges = merges}, "ab"), Ids{4});
  EXPECT_EQ(encoded("abc", {.merges = {{"a", "b"}, {"b", "c"}}}, "abc"), (Ids{3, 2}));
}

TEST(Bpe, TheLeftmostOfEqualPairsGoesFirst) {
  EXPECT_EQ(encoded("a", {.merges = {{"a", "a"}}}, "aaaaa"), (Ids{1, 1, 0}));
}

TEST(Bpe, AWholeWordMayWinOverTheMerges) {
  const Pairs merges = {
      {"a", "b"}, {"b", "c"}, {"a", "bc"}};  // "abc" cannot be reached: a b merges first
  EXPECT_EQ(encoded("abc", {.merges = merges}, "abc"), (Ids{3, 2}));
  EXPECT_EQ(encoded("abc", {.merges = merges, .ignore_merges = true}, "abc"), Ids{5});
  EXPECT_EQ(encoded("abc", {.merges = merges, .ignore_merges = true}, "abca"), (Ids{3, 2, 0}));
}

// What a word became the first time is remembered where it became itself.
TEST(Bpe, GivesTheSameEveryTime) {
  const Pairs merges = {{"a", "b"}, {"b", "c"}, {"a", "bc"}, {"ab", "ab"}};
  const Vocabulary vocabulary(tokens("abc", merges), "vocab");
  const Bpe bpe(vocabulary, {.merges = merges}, "model");
  Encoding encoding;
  for (int time = 0; time < 3; ++time)
    for (const char* word : {"abc", "ab", "abab", "bc", "a"})
      bpe.encode(AlignedText(word, 0).view(), encoding);
  const Ids once = {3, 2, 3, 6, 4, 0};
  Ids expected;
  for (int time = 0; time < 3; ++time) expected.insert(expected.end(), once.begin(), once.end());
  EXPECT_EQ(encoding.ids, expected);
  const std::vector<Span> spans = {{0, 2}, {2, 3}, {0, 2}, {0, 4}, {0, 2}, {0, 1}};
  EXPECT_TRUE(std::equal(spans.begin(), spans.end(), encoding.spans.end() - 6));
}

TEST(Bpe, BytesWithoutTokenAreDroppedOrUnknown) {
  const Pairs merges = {{"a", "b"}};
  EXPECT_EQ(encoded("abu", {.merges = merges}, "axb"), Ids{3});  // neighbours once x is gone
  EXPECT_EQ(encoded("abu", {.merges = merges, .unknown = "u"}, "axxb"), (Ids{0, 2, 2, 1}));
  EXPECT_EQ(encoded("abu", {.merges = merges, .unknown = "u", .fuse_unknown = true}, "axxbx"),
            (Ids{0, 2, 1, 2}));
  EXPECT_EQ(encoded("abu", {.merges = merges}, "xx"), Ids{});
}

TEST(Bpe, RefusesMergesOfWhatIsNotThere) {
  const Vocabulary vocabulary({{"a", 0}, {"b", 1}}, "vocab");
  const Pairs merges{{"a", "b"}};
  EXPECT_EQ(refusal_message([&] { Bpe(vocabulary, {.merges = merges}, "file, model"); }),
            "file, model.merges[0]: token \"ab\" is not in the vocabulary");
  EXPECT_THROW(Bpe(vocabulary, {.unknown = "<unk>"}, "model"), InputError);
}

/// The definition: merge the pair of lowest rank, the leftmost of equals, one at a time.
Ids by_definition(const Vocabulary& vocabulary, const Pairs& merges, const std::string& word) {
  std::vector<std::string> parts;
  for (const char c : word) parts.push_back(std::string(1, c));
  while (true) {
    std::size_t best_rank = merges.size(), best_place = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
      for (std::size_t rank = 0; rank < best_rank; ++rank)
        if (merges[rank].first == parts[i] && merges[rank].second == parts[i + 1]) {
          best_rank = rank;
          best_place = i;
        }
    if (best_rank == merges.size()) break;
    parts[best_place] += parts[best_place + 1];
    parts.erase(parts.begin() + best_place + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(*vocabulary.id_of_bytes(part));
  return ids;
}

TEST(Bpe, AgreesWithTheDefinitionOnRandomWords) {
  std::mt19937 random(5);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  for (int round = 0; round < 50; ++round) {
    // As in training, a merge joins tokens that earlier merges made.
    std::vector<std::string> made = {"a", "b", "c"};
    Pairs merges;
    while (merges.size() < 30) {
      const std::string left = made[below(made.size())], right = made[below(made.size())];
      if (std::find(made.begin(), made.end(), left + right) != made.end()) continue;
      merges.emplace_back(left, right);
      made.push_back(left + right);
    }
    const Vocabulary vocabulary(tokens("abc", merges), "vocab");
    const Bpe bpe(vocabulary, {.merges = merges}, "model");
    for (int i = 0; i < 40; ++i) {
      std::string word;
      for (std::size_t length = below(40) + 1; length > 0; --length) word += "abc"[below(3)];
      Encoding encoding;
      bpe.encode(AlignedText(word, 0).view(), encoding);
      ASSERT_EQ(encoding.ids, by_definition(vocabulary, merges, word)) << word;
    }
  }
}

TEST(Bpe, LongWordsAreNotQuadratic) {
  // A quadratic search would take hours here.
  const Ids ids = encoded("a", {.merges = {{"a", "a"}, {"aa", "aa"}}}, std::string(1'000'000, 'a'));
  EXPECT_EQ(ids, Ids(250'000, 2));
}

}  // namespace
}  // namespace rvsweep
