#pragma once
// For the few loops of our own over numbers on a CPU: one version of a function per vector width,
// chosen when the program starts, and sixteen numbers at once.
#include <bit>
#include <cstdint>
#include <cstring>

// GCC before 12 knows these levels for a whole program only.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__)
#define RVSWEEP_EVERY_WIDTH \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define RVSWEEP_EVERY_WIDTH
#endif
#define RVSWEEP_INLINE inline __attribute__((always_inline))
#define RVSWEEP_LAMBDA __attribute__((always_inline))

namespace rvsweep {

/// Sixteen float32; processors with narrower vectors take them in parts.
using Lanes = float __attribute__((vector_size(64)));
constexpr std::int64_t lanes = 16;

/// bfloat16, given as its bits, is the upper half of a float32.
RVSWEEP_INLINE float wide(float x) { return x; }
RVSWEEP_INLINE float wide(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

RVSWEEP_INLINE void load(const float* from, Lanes& x) { std::memcpy(&x, from, sizeof x); }
RVSWEEP_INLINE void load(const std::uint16_t* from, Lanes& x) {
  using Halves = std::uint16_t __attribute__((vector_size(32)));
  using Words = std::uint32_t __attribute__((vector_size(64)));
  Halves bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words words = __builtin_convertvector(bits, Words) << 16;
  std::memcpy(&x, &words, sizeof x);
}

RVSWEEP_INLINE void store(const Lanes& x, float* to) { std::memcpy(to, &x, sizeof x); }

/// To the nearest bfloat16, ties to even; NaN stays NaN.
RVSWEEP_INLINE void narrow(float x, float& to) { to = x; }
RVSWEEP_INLINE void narrow(float x, std::uint16_t& to) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  to = static_cast<std::uint16_t>(x == x ? rounded : bits >> 16 | 0x40);
}

/// The sum of all sixteen, halves first.
RVSWEEP_INLINE float total(const Lanes& x) {
  using Eight = float __attribute__((vector_size(32)));
  using Four = float __attribute__((vector_size(16)));
  Eight eight[2];
  std::memcpy(eight, &x, sizeof x);
  const Eight of_eight = eight[0] + eight[1];
  Four four[2];
  std::memcpy(four, &of_eight, sizeof of_eight);
  const Four sum = four[0] + four[1];
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

}  // namespace rvsweep
