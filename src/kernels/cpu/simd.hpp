#pragma once
// For loops of our own on a CPU: one version of a function per vector width, chosen when the
// program starts, and vectors of 16 float32.
#include <bit>
#include <cstdint>
#include <cstring>

// GCC before 12 knows these levels for a whole program only.
// Sanitizers are not there yet when a level is chosen.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RVSWEEP_TARGET_CLONES \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define RVSWEEP_TARGET_CLONES
#endif
#define RVSWEEP_INLINE inline __attribute__((always_inline))
#define RVSWEEP_LAMBDA __attribute__((always_inline))

namespace rvsweep {

/// Sixteen float32; processors with narrower vectors take them in parts.
using Lanes = float __attribute__((vector_size(64)));
constexpr std::int64_t lanes = 16;

/// bfloat16, given as its bits, is the upper half of a float32.
RVSWEEP_INLINE float to_float(float x) { return x; }
RVSWEEP_INLINE float to_float(std::uint16_t x) {
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
RVSWEEP_INLINE void round_to(float x, float& to) { to = x; }
RVSWEEP_INLINE void round_to(float x, std::uint16_t& to) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  to = static_cast<std::uint16_t>(x == x ? rounded : bits >> 16 | 0x40);
}

/// e^x within two units in the last place; 0 below -87, where float32 becomes subnormal, and at
/// most e^88. Vectorises.
RVSWEEP_INLINE float exponential(float x) {
  constexpr float lowest = -87.0F, highest = 88.0F;
  const float bounded = x < lowest ? lowest : x > highest ? highest : x;
  // x = n ln 2 + r; adding 1.5 * 2^23 rounds to a whole n and leaves it in the lower bits.
  constexpr float rounder = 12582912.0F;
  const float rounded = bounded * 1.44269504F + rounder, n = rounded - rounder;
  const float r = (bounded - n * 0.693145752F) - n * 1.42860677e-6F;
  // Taylor's series to the seventh power: |r| <= ln 2 / 2.
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const auto exponent = std::bit_cast<std::uint32_t>(rounded) << 23;  // n in the exponent bits
  const float power = std::bit_cast<float>(exponent + (127U << 23));
  return x < lowest ? 0.0F : x == x ? series * power : x;
}

}  // namespace rvsweep
