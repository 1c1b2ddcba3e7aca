#include "rvsweep/core/philox.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>

#include "rvsweep/core/hash.hpp"

namespace rvsweep {

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> x,
                                           std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * x[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return x;
}

std::array<double, 2> uniform_pair(std::uint64_t key, std::uint64_t counter) {
  const auto x = philox4x32_10(
      {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
  const auto uniform = [](std::uint32_t high, std::uint32_t low) {
    return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1.0p-53;
  };
  return {uniform(x[0], x[1]), uniform(x[2], x[3])};
}

std::array<double, 2> normal_pair(std::uint64_t key, std::uint64_t counter) {
  const auto [first, second] = uniform_pair(key, counter);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - first));
  const double angle = 2.0 * std::numbers::pi * second;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::vector<std::int32_t> permutation(std::uint64_t key, std::int32_t first, std::int32_t n) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int32_t i = n - 1; i > first; --i) {
    const double uniform = uniform_pair(key, static_cast<std::uint64_t>(i))[0];
    std::swap(order[i], order[first + static_cast<std::int32_t>(uniform * (i - first + 1))]);
  }
  return order;
}

double sampling_uniform(std::uint64_t seed, std::uint64_t pair_hash, std::int32_t sample,
                        std::int64_t step) {
  const std::uint64_t key =
      xxh3_fields({std::to_string(seed), std::to_string(pair_hash), std::to_string(sample)});
  return uniform_pair(key, static_cast<std::uint64_t>(step))[0];
}

}  // namespace rvsweep
