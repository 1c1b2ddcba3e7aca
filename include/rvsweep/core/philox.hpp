#pragma once
// Philox4x32-10 (Salmon et al., SC 2011): random numbers as a pure function of key and counter.
#include <array>
#include <cstdint>

namespace rvsweep {

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key);

/// The uniform number in [0, 1), with 53 bits, that decides a row's token at `step`. The key is
/// xxh3(seed, pair hash, sample) and the arm is no part of it, so arms of a pair share their
/// numbers.
double sampling_uniform(std::uint64_t seed, std::uint64_t pair_hash, std::int32_t sample,
                        std::int64_t step);

}  // namespace rvsweep
