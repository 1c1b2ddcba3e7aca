#pragma once
// Philox4x32-10 (Salmon et al., SC 2011): random numbers as a pure function of key and counter.
#include <array>
#include <cstdint>
#include <vector>

namespace rvsweep {

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key);

/// Two uniform numbers in [0, 1) with 53 bits each: the draw of a counter under a 64-bit key.
std::array<double, 2> uniform_pair(std::uint64_t key, std::uint64_t counter);

/// The two standard normal numbers of a counter (Box-Muller).
std::array<double, 2> normal_pair(std::uint64_t key, std::uint64_t counter);

/// 0..n-1 in random order but for the first `first`, which stay (Fisher-Yates shuffle).
std::vector<std::int32_t> permutation(std::uint64_t key, std::int32_t first, std::int32_t n);

/// The uniform number that decides a row's token at `step`. The key is xxh3(seed, pair hash,
/// sample) and the arm is no part of it, so arms of a pair share their numbers.
double sampling_uniform(std::uint64_t seed, std::uint64_t pair_hash, std::int32_t sample,
                        std::int64_t step);

}  // namespace rvsweep
