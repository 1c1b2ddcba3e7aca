#pragma once
// One-to-one pairs of prompts with as little difference in length as possible, stratified by group.
#include <cstdint>
#include <utility>
#include <vector>

namespace rvsweep {

/// The one-to-one assignment with the least sum of |few[i] - many[j]|: j by i, ascending. Both
/// arguments are ascending, and few is not the longer one. Of several such assignments, draws keyed
/// by `seed` choose. Time |few| * (|many| - |few| + 1), a bit of memory for each.
std::vector<std::int32_t> closest_assignment(const std::vector<std::int64_t>& few,
                                             const std::vector<std::int64_t>& many,
                                             std::uint64_t seed);

/// How many pairs each combination of a row group and a column group gets: `total` in all, no more
/// of a group than its size, as equal as that allows. `total` is not above either sum of sizes.
std::vector<std::vector<std::int64_t>> equal_shares(const std::vector<std::int64_t>& row_sizes,
                                                    const std::vector<std::int64_t>& column_sizes,
                                                    std::int64_t total);

/// A prompt to be matched. Of equal lengths the smaller key goes first.
struct Candidate {
  std::int32_t prompt = 0;
  std::int64_t length = 0;  // tokens
  std::uint64_t key = 0;
};

/// `total` one-to-one pairs of (prompt of `few`, prompt of `many`), both given by group. Groups
/// get equal shares. Every group of `few` is dealt to the groups of `many` evenly over its lengths;
/// within a group of `many`, what was dealt to it takes the closest assignment. `few` holds no more
/// candidates than `many`, and at least `total`.
std::vector<std::pair<std::int32_t, std::int32_t>> match_lengths(
    std::vector<std::vector<Candidate>> few, std::vector<std::vector<Candidate>> many,
    std::int64_t total, std::uint64_t seed);

}  // namespace rvsweep
