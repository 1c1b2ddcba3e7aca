#include "rvsweep/core/philox.hpp"

#include <string>

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

double sampling_uniform(std::uint64_t seed, std::uint64_t pair_hash, std::int32_t sample,
                        std::int64_t step) {
  const std::uint64_t key =
      xxh3_fields({std::to_string(seed), std::to_string(pair_hash), std::to_string(sample)});
  const auto counter = static_cast<std::uint64_t>(step);
  const auto x = philox4x32_10(
      {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
  const std::uint64_t bits = (std::uint64_t{x[0]} << 32 | x[1]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace rvsweep
