#include "rvsweep/text/pairing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/input_error.hpp"

namespace rvsweep {
namespace {

/// Groups "rec_a" (6 prompts), "rec_b" (4), "fact" (5), "chat" (9); lengths are those of the texts.
PromptBank sample_bank() {
  PromptBank bank;
  bank.fingerprint = 77;
  const std::vector<std::pair<std::string, int>> groups{
      {"rec_a", 6}, {"fact", 5}, {"rec_b", 4}, {"chat", 9}};
  for (const auto& [group, count] : groups)
    for (int n = 0; n < count; ++n) {
      const std::string id = group + std::to_string(n);
      bank.prompts.push_back({id, id + std::string(3 * n + bank.prompts.size() % 4, 'x'), group});
    }
  return bank;
}

Pairing pairing(PairingKind kind, std::vector<std::string> sources,
                std::vector<std::string> bases) {
  Pairing p;
  p.kind = kind;
  p.sources = {std::move(sources), "job.cfg:4"};
  p.bases = {std::move(bases), "job.cfg:5"};
  p.where = "job.cfg:3";
  return p;
}

std::int64_t length(const Prompt& prompt) { return std::ssize(prompt.text); }

/// Falls from one prompt of a group to the next.
double logprob(const Prompt& prompt) { return -static_cast<double>(prompt.text.size() % 7); }

/// With answers by which the prompts are known.
PromptSet paired(PromptBank bank, const Pairing& p, std::uint64_t seed = 1) {
  bank.answers.clear();
  for (const Prompt& prompt : bank.prompts) bank.answers.push_back({" " + prompt.id});
  return pair_bank(bank, p, seed, {length, logprob});
}

std::set<std::string> ids(const PromptSet& set) {
  std::set<std::string> result;
  for (const PromptPair& pair : set.pairs) {
    EXPECT_EQ(pair.id,
              set.prompts.at(pair.source.value).id + "~" + set.prompts.at(pair.base.value).id);
    EXPECT_EQ(pair.answers, (PairAnswers{{" " + set.prompts.at(pair.source.value).id},
                                         {" " + set.prompts.at(pair.base.value).id}}));
    result.insert(pair.id);
  }
  EXPECT_EQ(result.size(), set.pairs.size());
  return result;
}

TEST(PairBank, CrossIsEverySourceWithEveryBase) {
  const auto set = paired(sample_bank(), pairing(PairingKind::cross, {"rec_*"}, {"fact"}));
  EXPECT_EQ(set.pairs.size(), 10u * 5u);
  ids(set);
  EXPECT_EQ(set.prompts.size(), 15u);  // each once, none that no pair uses
  EXPECT_EQ(set.fingerprint, 77u);
  EXPECT_EQ(set.pairs.front().id, "rec_a0~fact0");
  EXPECT_EQ(set.pairs[1].id, "rec_a0~fact1");
  EXPECT_EQ(set.pairs.back().id, "rec_b3~fact4");
  EXPECT_EQ(set.prompts[set.pairs.back().source.value].group, "rec_b");
}

TEST(PairBank, RandomGivesEverySourceDistinctBases) {
  auto p = pairing(PairingKind::random, {"rec_a", "rec_b"}, {"fact", "chat"});
  p.bases_per_source = 3;
  const auto set = paired(sample_bank(), p);
  EXPECT_EQ(set.pairs.size(), 30u);
  ids(set);
  std::map<std::int32_t, int> of_source;
  for (const PromptPair& pair : set.pairs) ++of_source[pair.source.value];
  EXPECT_EQ(of_source.size(), 10u);
  for (const auto& [source, bases] : of_source) EXPECT_EQ(bases, 3);
  EXPECT_NE(ids(paired(sample_bank(), p, 2)), ids(set));
}

TEST(PairBank, RandomDrawsEveryBaseAboutEquallyOften) {
  auto p = pairing(PairingKind::random, {"rec_a"}, {"fact", "chat"});
  p.bases_per_source = 4;
  std::map<std::string, int> drawn;
  constexpr int seeds = 500;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto set = paired(sample_bank(), p, seed);
    for (const PromptPair& pair : set.pairs) ++drawn[set.prompts[pair.base.value].id];
  }
  EXPECT_EQ(drawn.size(), 14u);
  const double expected = seeds * 6 * 4 / 14.0;  // 857, its standard deviation below 28
  for (const auto& [id, times] : drawn) EXPECT_NEAR(times, expected, 5 * 28) << id;
}

TEST(PairBank, RandomDependsNeitherOnOrderNorOnOtherPromptsAndGrows) {
  auto bank = sample_bank();
  auto p = pairing(PairingKind::random, {"rec_*"}, {"chat"});
  p.bases_per_source = 3;
  const auto three = ids(paired(bank, p));
  p.bases_per_source = 5;
  const auto five = ids(paired(bank, p));
  EXPECT_TRUE(std::includes(five.begin(), five.end(), three.begin(), three.end()));
  std::reverse(bank.prompts.begin(), bank.prompts.end());
  EXPECT_EQ(ids(paired(bank, p)), five);
  bank.prompts.push_back({"new", "new", "rec_new"});
  const auto more = ids(paired(bank, p));
  EXPECT_EQ(more.size(), five.size() + 5);
  EXPECT_TRUE(std::includes(more.begin(), more.end(), five.begin(), five.end()));
}

TEST(PairBank, ACapOnRandomKeepsEverySourcesFirstBase) {
  auto p = pairing(PairingKind::random, {"rec_*"}, {"chat"});
  p.bases_per_source = 3;
  p.pairs = 14;
  const auto set = paired(sample_bank(), p);
  EXPECT_EQ(set.pairs.size(), 14u);
  std::map<std::int32_t, int> of_source;
  for (const PromptPair& pair : set.pairs) ++of_source[pair.source.value];
  EXPECT_EQ(of_source.size(), 10u);
  for (const auto& [source, bases] : of_source) EXPECT_LE(bases, 2);
  p.pairs = 1000;
  EXPECT_EQ(paired(sample_bank(), p).pairs.size(), 30u);
}

TEST(PairBank, LengthMatchedUsesEveryPromptOfTheSmallerSideOnce) {
  for (const bool swapped : {false, true}) {
    auto p = pairing(PairingKind::length_matched, {"rec_*"}, {"fact", "chat"});
    if (swapped) std::swap(p.sources, p.bases);
    const auto set = paired(sample_bank(), p);
    EXPECT_EQ(set.pairs.size(), 10u);
    std::set<std::int32_t> sources, bases;
    for (const PromptPair& pair : set.pairs) {
      sources.insert(pair.source.value);
      bases.insert(pair.base.value);
      EXPECT_EQ(set.prompts[pair.source.value].group.starts_with("rec_"), !swapped);
      EXPECT_EQ(set.prompts[pair.base.value].group.starts_with("rec_"), swapped);
    }
    EXPECT_EQ(sources.size(), 10u);
    EXPECT_EQ(bases.size(), 10u);
    p.pairs = 7;
    EXPECT_EQ(paired(sample_bank(), p).pairs.size(), 7u);
  }
}

TEST(PairBank, LengthMatchedDependsOnTheSeedAndNotOnTheOrder) {
  auto bank = sample_bank();
  const auto p = pairing(PairingKind::length_matched, {"rec_*"}, {"fact", "chat"});
  const auto pairs = ids(paired(bank, p));
  std::reverse(bank.prompts.begin(), bank.prompts.end());
  EXPECT_EQ(ids(paired(bank, p)), pairs);
  EXPECT_NE(ids(paired(bank, p, 2)), pairs);
}

TEST(PairBank, OnePairIsEnough) {
  const PromptBank bank{{{"a", "A", "s"}, {"b", "B", "t"}}, {}, 1};
  auto p = pairing(PairingKind::random, {"s"}, {"t"});
  p.bases_per_source = 1;
  for (const auto kind : {PairingKind::cross, PairingKind::random, PairingKind::length_matched}) {
    p.kind = kind;
    EXPECT_EQ(ids(paired(bank, p)), std::set<std::string>{"a~b"});
  }
}

TEST(PairBank, MatchesTheClosestPromptsWithinTheCaliper) {
  // Lengths 10, 20, 30 beside 11, 12, 21, 60; log-probabilities -3, -6, -2 beside -4, -5, -0, -4.
  PromptBank bank;
  for (const auto& [id, n] : {std::pair("s1", 10), std::pair("s2", 20), std::pair("s3", 30)})
    bank.prompts.push_back({id, std::string(n, 's'), "s"});
  for (const auto& [id, n] :
       {std::pair("b1", 11), std::pair("b2", 12), std::pair("b3", 21), std::pair("b4", 60)})
    bank.prompts.push_back({id, std::string(n, 'b'), "b"});
  auto p = pairing(PairingKind::matched, {"s"}, {"b"});
  p.caliper = 10;
  EXPECT_EQ(ids(paired(bank, p)), (std::set<std::string>{"s1~b1", "s2~b2", "s3~b3"}));
  EXPECT_EQ(paired(bank, p).most_pairs, 3);
  p.pairs = 1;
  EXPECT_EQ(ids(paired(bank, p)), (std::set<std::string>{"s1~b1"}));
  p.pairs = 0;
  p.caliper = 0.6;
  EXPECT_EQ(ids(paired(bank, p)), (std::set<std::string>{"s1~b1", "s2~b2"}));
  p.caliper = 0.01;
  EXPECT_TRUE(says(refusal_message([&] { paired(bank, p); }), {"job.cfg:3", "caliper", "widen"}));
}

TEST(PairBank, NamesTheNearestGroupWhereOneIsUnknown) {
  const auto refusal = [](std::vector<std::string> sources, std::vector<std::string> bases) {
    return refusal_message([&] {
      paired(sample_bank(), pairing(PairingKind::cross, std::move(sources), std::move(bases)));
    });
  };
  EXPECT_TRUE(says(refusal({"rec_a", "rec_x"}, {"fact"}),
                   {"job.cfg:4: ", "no group \"rec_x\"", "did you mean rec_a?"}));
  EXPECT_TRUE(says(refusal({"rec_a"}, {"facts"}), {"job.cfg:5: ", "did you mean fact?"}));
  EXPECT_TRUE(says(refusal({"rex*"}, {"fact"}), {"job.cfg:4: ", "\"rex*\""}));
  EXPECT_TRUE(says(refusal({"garden_*"}, {"fact"}),
                   {"\"garden_*\"", "choose from chat, fact, rec_a, rec_b"}));
  EXPECT_TRUE(says(refusal({"rec_a", "fact"}, {"f*"}), {"job.cfg:5: ", "\"fact\"", "both sides"}));
}

TEST(PairBank, AGroupNamedTwiceCountsOnce) {
  const auto set =
      paired(sample_bank(), pairing(PairingKind::cross, {"rec_*", "rec_a", "rec_*"}, {"fact"}));
  EXPECT_EQ(set.pairs.size(), 50u);
}

TEST(PairBank, MoreBasesThanThereAreAreRefused) {
  auto p = pairing(PairingKind::random, {"rec_a"}, {"fact"});
  p.bases_per_source = 6;
  EXPECT_TRUE(
      says(refusal_message([&] { paired(sample_bank(), p); }), {"job.cfg:3: ", "random:6", " 5 "}));
}

}  // namespace
}  // namespace rvsweep
