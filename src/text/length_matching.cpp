#include "text/length_matching.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <tuple>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/hash.hpp"
#include "rvsweep/core/philox.hpp"

namespace rvsweep {
namespace {

using Groups = std::vector<std::vector<Candidate>>;

void sort_by_length(std::vector<Candidate>& candidates) {
  std::ranges::sort(candidates, {}, [](const Candidate& candidate) {
    return std::tie(candidate.length, candidate.key, candidate.prompt);
  });
}

std::vector<std::int64_t> sizes_of(const Groups& groups) {
  std::vector<std::int64_t> sizes;
  for (const auto& group : groups) sizes.push_back(std::ssize(group));
  return sizes;
}

std::vector<std::int64_t> lengths_of(const std::vector<Candidate>& candidates) {
  std::vector<std::int64_t> lengths;
  for (const Candidate& candidate : candidates) lengths.push_back(candidate.length);
  return lengths;
}

/// Labels in an order in which each is spread evenly: systematic sampling with a drawn start.
std::vector<std::size_t> spread(const std::vector<std::int64_t>& counts, std::uint64_t key) {
  std::vector<std::pair<double, std::size_t>> positions;
  for (std::size_t label = 0; label < counts.size(); ++label) {
    const double start = uniform_pair(key, label)[0];
    for (std::int64_t t = 0; t < counts[label]; ++t)
      positions.emplace_back((static_cast<double>(t) + start) / static_cast<double>(counts[label]),
                             label);
  }
  std::sort(positions.begin(), positions.end());
  std::vector<std::size_t> order;
  for (const auto& [position, label] : positions) order.push_back(label);
  return order;
}

}  // namespace

std::vector<std::int32_t> closest_assignment(const std::vector<std::int64_t>& few,
                                             const std::vector<std::int64_t>& many,
                                             std::uint64_t seed) {
  RVSWEEP_EXPECT(few.size() <= many.size(), "every one of the few has a partner");
  // In some best assignment no two pairs cross. least[d] is the least cost of the first i of few
  // with the first i + d of many; the last of these either goes with the last of few or is left
  // out.
  const std::size_t n = few.size(), widths = many.size() - n + 1;
  std::vector<std::int64_t> least(widths, 0);
  std::vector<bool> pairs_last(n * widths);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t d = 0; d < widths; ++d) {
      const std::int64_t paired = least[d] + std::abs(few[i] - many[i + d]);
      const std::int64_t left_out =
          d == 0 ? std::numeric_limits<std::int64_t>::max() : least[d - 1];
      const bool pair_it =
          paired < left_out || (paired == left_out && uniform_pair(seed, i * widths + d)[0] < 0.5);
      pairs_last[i * widths + d] = pair_it;
      least[d] = std::min(paired, left_out);
    }
  }
  std::vector<std::int32_t> partners(n);
  for (std::size_t i = n, d = widths - 1; i-- > 0;) {
    while (!pairs_last[i * widths + d]) --d;
    partners[i] = static_cast<std::int32_t>(i + d);
  }
  return partners;
}

std::vector<std::vector<std::int64_t>> equal_shares(const std::vector<std::int64_t>& row_sizes,
                                                    const std::vector<std::int64_t>& column_sizes,
                                                    std::int64_t total) {
  auto rows = row_sizes, columns = column_sizes;  // what is left of each
  std::vector<std::vector<std::int64_t>> shares(rows.size(),
                                                std::vector<std::int64_t>(columns.size(), 0));
  for (std::int64_t n = 0; n < total; ++n) {
    // The smallest share grows; of equal ones that of the groups with most left, then along
    // diagonals.
    std::pair<std::size_t, std::size_t> next{rows.size(), 0};
    std::tuple<std::int64_t, std::int64_t, std::size_t> best{
        std::numeric_limits<std::int64_t>::max(), 0, 0};
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const std::size_t diagonal = (c + columns.size() - r % columns.size()) % columns.size();
        const std::tuple rank(shares[r][c], -(rows[r] + columns[c]), diagonal);
        if (rows[r] == 0 || columns[c] == 0 || rank >= best) continue;
        best = rank;
        next = {r, c};
      }
    RVSWEEP_EXPECT(next.first < rows.size(), "the total is not above either sum of sizes");
    ++shares[next.first][next.second];
    --rows[next.first];
    --columns[next.second];
  }
  return shares;
}

std::vector<std::pair<std::int32_t, std::int32_t>> match_lengths(Groups few, Groups many,
                                                                 std::int64_t total,
                                                                 std::uint64_t seed) {
  const auto shares = equal_shares(sizes_of(few), sizes_of(many), total);
  const auto key = [&](const char* use, std::size_t group) {
    return xxh3_fields({std::to_string(seed), use, std::to_string(group)});
  };
  Groups dealt(many.size());
  for (std::size_t group = 0; group < few.size(); ++group) {
    sort_by_length(few[group]);
    auto counts = shares[group];
    std::int64_t unused = std::ssize(few[group]);
    for (const std::int64_t share : counts) unused -= share;
    counts.push_back(unused);
    const auto order = spread(counts, key("deal", group));
    for (std::size_t i = 0; i < order.size(); ++i)
      if (order[i] < many.size()) dealt[order[i]].push_back(few[group][i]);
  }
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  for (std::size_t group = 0; group < many.size(); ++group) {
    sort_by_length(dealt[group]);
    sort_by_length(many[group]);
    const auto partners =
        closest_assignment(lengths_of(dealt[group]), lengths_of(many[group]), key("ties", group));
    for (std::size_t n = 0; n < partners.size(); ++n)
      pairs.emplace_back(dealt[group][n].prompt,
                         many[group][static_cast<std::size_t>(partners[n])].prompt);
  }
  return pairs;
}

}  // namespace rvsweep
