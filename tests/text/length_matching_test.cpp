#include "text/length_matching.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

using Lengths = std::vector<std::int64_t>;

/// Every way to give the few distinct partners.
std::int64_t least_cost(const Lengths& few, const Lengths& many) {
  std::vector<std::size_t> order(many.size());
  std::iota(order.begin(), order.end(), 0);
  std::int64_t least = INT64_MAX;
  do {
    std::int64_t cost = 0;
    for (std::size_t i = 0; i < few.size(); ++i) cost += std::abs(few[i] - many[order[i]]);
    least = std::min(least, cost);
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

Lengths random_lengths(std::mt19937& generator, std::size_t n) {
  Lengths lengths(n);
  for (auto& length : lengths) length = std::uniform_int_distribution<int>(1, 12)(generator);
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

TEST(ClosestAssignment, HasTheLeastCostOfAllAssignments) {
  std::mt19937 generator(1);
  for (int round = 0; round < 400; ++round) {
    const std::size_t n_many = 1 + round % 7, n_few = round / 7 % (n_many + 1);
    const Lengths few = random_lengths(generator, n_few), many = random_lengths(generator, n_many);
    const auto places = closest_assignment(few, many, round);
    ASSERT_EQ(places.size(), n_few);
    std::int64_t cost = 0;
    for (std::size_t i = 0; i < n_few; ++i) {
      EXPECT_TRUE(i == 0 || places[i - 1] < places[i]);
      cost += std::abs(few[i] - many.at(places[i]));
    }
    EXPECT_EQ(cost, least_cost(few, many)) << "round " << round;
  }
}

TEST(ClosestAssignment, TheSeedDecidesBetweenEqualCosts) {
  std::set<std::vector<std::int32_t>> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    seen.insert(closest_assignment({5}, {4, 6}, seed));
    EXPECT_EQ(closest_assignment({5}, {4, 6}, seed), closest_assignment({5}, {4, 6}, seed));
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(EqualShares, AreEqualWhereNumbersAllow) {
  using Shares = std::vector<Lengths>;
  EXPECT_EQ(equal_shares({20, 20}, {20, 20}, 40), (Shares{{10, 10}, {10, 10}}));
  EXPECT_EQ(equal_shares({20}, {10, 10, 10, 10}, 20), (Shares{{5, 5, 5, 5}}));
  EXPECT_EQ(equal_shares({20}, {2, 50}, 20), (Shares{{2, 18}}));
}

TEST(EqualShares, DifferByOneAtMostBetweenGroupsOfOneSize) {
  for (std::size_t n = 1; n <= 5; ++n)
    for (std::size_t m = 1; m <= 5; ++m)
      for (std::int64_t size = 1; size <= 12; ++size)
        for (std::int64_t total = 1; total <= size * static_cast<std::int64_t>(std::min(n, m));
             ++total) {
          const auto shares = equal_shares(Lengths(n, size), Lengths(m, size), total);
          std::int64_t least = total, most = 0, sum = 0;
          for (const auto& row : shares)
            for (const std::int64_t share : row) {
              least = std::min(least, share);
              most = std::max(most, share);
              sum += share;
            }
          EXPECT_EQ(sum, total);
          EXPECT_LE(most - least, 1) << n << " x " << m << " of " << size << ", " << total;
        }
}

TEST(EqualShares, NeverExceedAGroupAndReachTheTotal) {
  std::mt19937 generator(2);
  const auto sizes = [&] {
    Lengths sizes(1 + generator() % 5);
    for (auto& size : sizes) size = static_cast<std::int64_t>(1 + generator() % 9);
    return sizes;
  };
  for (int round = 0; round < 200; ++round) {
    const Lengths rows = sizes(), columns = sizes();
    const auto total = std::min(std::accumulate(rows.begin(), rows.end(), std::int64_t{0}),
                                std::accumulate(columns.begin(), columns.end(), std::int64_t{0}));
    const auto shares = equal_shares(rows, columns, total);
    Lengths of_column(columns.size(), 0);
    std::int64_t sum = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      EXPECT_LE(std::accumulate(shares[r].begin(), shares[r].end(), std::int64_t{0}), rows[r]);
      for (std::size_t c = 0; c < columns.size(); ++c) {
        of_column[c] += shares[r][c];
        sum += shares[r][c];
      }
    }
    for (std::size_t c = 0; c < columns.size(); ++c) EXPECT_LE(of_column[c], columns[c]);
    EXPECT_EQ(sum, total);
  }
  EXPECT_THROW(equal_shares({2}, {3}, 3), ContractError);
}

std::vector<Candidate> candidates(std::int32_t first, const Lengths& lengths) {
  std::vector<Candidate> all;
  for (const std::int64_t length : lengths) {
    const auto prompt = static_cast<std::int32_t>(first + std::ssize(all));
    all.push_back({prompt, length, static_cast<std::uint64_t>(prompt)});
  }
  return all;
}

/// Prompts 0-19 and 100-119 against 200-229 and 300-329: lengths rise with the number.
std::vector<std::pair<std::int32_t, std::int32_t>> sample_match(std::int64_t total,
                                                                std::uint64_t seed) {
  const auto rising = [](std::int64_t first, std::size_t n) {
    Lengths lengths(n);
    std::iota(lengths.begin(), lengths.end(), first);
    return lengths;
  };
  return match_lengths({candidates(0, rising(30, 20)), candidates(100, rising(35, 20))},
                       {candidates(200, rising(25, 30)), candidates(300, rising(30, 30))}, total,
                       seed);
}

TEST(MatchLengths, PairsEachPromptOnceWithEqualSharesOfTheGroups) {
  for (const std::int64_t total : {40, 24, 4, 1}) {
    const auto pairs = sample_match(total, 3);
    EXPECT_EQ(std::ssize(pairs), total);
    std::set<std::int32_t> few, many;
    std::map<std::pair<int, int>, int> shares;
    for (const auto& [a, b] : pairs) {
      few.insert(a);
      many.insert(b);
      ++shares[{a / 100, b / 100}];
    }
    EXPECT_EQ(std::ssize(few), total);
    EXPECT_EQ(std::ssize(many), total);
    for (const auto& [groups, share] : shares) EXPECT_EQ(share, (total + 3) / 4);
  }
}

// Of 20 prompts by length, each partner group gets one of every two neighbours, and a cap of half
// leaves out every second.
TEST(MatchLengths, DealsAGroupEvenlyOverItsLengths) {
  for (const std::int64_t total : {40, 20}) {
    std::map<std::pair<int, int>, std::vector<std::int32_t>> dealt;
    for (const auto& [a, b] : sample_match(total, 5)) dealt[{a / 100, b / 100}].push_back(a % 100);
    for (auto& [groups, places] : dealt) {
      std::sort(places.begin(), places.end());
      const auto step = 20.0 / static_cast<double>(places.size());
      for (std::size_t n = 0; n < places.size(); ++n)
        EXPECT_NEAR(places[n], step * (static_cast<double>(n) + 0.5), step) << total;
    }
  }
}

TEST(MatchLengths, IsAFunctionOfTheSeed) {
  EXPECT_EQ(sample_match(40, 1), sample_match(40, 1));
  EXPECT_NE(sample_match(40, 1), sample_match(40, 2));
}

}  // namespace
}  // namespace rvsweep
