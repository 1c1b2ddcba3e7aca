#pragma once
// Included before kernels/cpu/amx/product.cpp, makes its tile instructions functions of AVX-512
// with the same bits and has_amx() true wherever AVX-512 has bfloat16, so that the kernels are
// tested on processors without AMX. Numbers are computed as the Intel 64 and IA-32 Architectures
// Software Developer's Manual defines TDPBF16PS: even and odd elements summed apart in float32,
// fused, rounded to nearest, denormals taken and given as zero.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 11
#include <ATen/cpu/Utils.h>
#include <cpuid.h>
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rvsweep::testing {

struct EmulatedTiles {
  std::uint16_t row_bytes[8] = {};
  std::uint8_t rows[8] = {};
  // Of a tile, of a row: pairs of bfloat16, or float32.
  alignas(64) std::uint32_t words[8][16][16] = {};
};
inline thread_local EmulatedTiles tiles;

/// `shapes` is the operand of LDTILECFG.
inline void load_shapes(const void* shapes) {
  tiles = {};
  std::memcpy(tiles.row_bytes, static_cast<const std::byte*>(shapes) + 16, sizeof tiles.row_bytes);
  std::memcpy(tiles.rows, static_cast<const std::byte*>(shapes) + 48, sizeof tiles.rows);
}

inline void release_tiles() { tiles = {}; }

inline void zero_tile(int tile) { std::memset(tiles.words[tile], 0, sizeof tiles.words[tile]); }

/// `stride` in bytes, as that of store_tile.
inline void load_tile(int tile, const void* from, std::ptrdiff_t stride) {
  zero_tile(tile);
  for (int row = 0; row < tiles.rows[tile]; ++row)
    std::memcpy(tiles.words[tile][row], static_cast<const std::byte*>(from) + row * stride,
                tiles.row_bytes[tile]);
}

inline void store_tile(int tile, void* to, std::ptrdiff_t stride) {
  for (int row = 0; row < tiles.rows[tile]; ++row)
    std::memcpy(static_cast<std::byte*>(to) + row * stride, tiles.words[tile][row],
                tiles.row_bytes[tile]);
}

/// The even and the odd ones of 32 bfloat16 numbers.
__attribute__((target("avx512f"), always_inline)) inline __m512 even_of(__m512i numbers) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(numbers, 16));
}
__attribute__((target("avx512f"), always_inline)) inline __m512 odd_of(__m512i numbers) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(numbers, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}

/// c += a b, of tiles.
__attribute__((target("avx512f"))) inline void multiply_tiles(int c, int a, int b) {
  constexpr unsigned nearest_without_denormals = 0x9fc0;  // no exception is taken
  const unsigned before = _mm_getcsr();
  _mm_setcsr(nearest_without_denormals);
  const auto columns = static_cast<__mmask16>((1U << (tiles.row_bytes[c] / 4U)) - 1);
  for (int row = 0; row < tiles.rows[c]; ++row) {
    __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
    for (int k = 0; k < tiles.row_bytes[a] / 4; ++k) {
      const __m512i x = _mm512_set1_epi32(static_cast<int>(tiles.words[a][row][k])),
                    y = _mm512_load_si512(tiles.words[b][k]);
      even = _mm512_fmadd_ps(even_of(x), even_of(y), even);
      odd = _mm512_fmadd_ps(odd_of(x), odd_of(y), odd);
    }
    float* const sums = reinterpret_cast<float*>(tiles.words[c][row]);
    const __m512 sum = _mm512_add_ps(_mm512_load_ps(sums), _mm512_add_ps(even, odd));
    _mm512_store_ps(sums, _mm512_maskz_mov_ps(columns, sum));
  }
  _mm_setcsr(before);
}

/// Leaf 7 of CPUID with AMX-TILE and AMX-BF16.
inline int leaf_with_amx(unsigned leaf, unsigned subleaf, unsigned* a, unsigned* b, unsigned* c,
                         unsigned* d) {
  const int found = __get_cpuid_count(leaf, subleaf, a, b, c, d);
  *d |= bit_AMX_TILE | bit_AMX_BF16;
  return found;
}

}  // namespace rvsweep::testing

namespace at::cpu {
inline bool given_amx() { return true; }
}  // namespace at::cpu

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig rvsweep::testing::load_shapes
#define _tile_release rvsweep::testing::release_tiles
#define _tile_zero rvsweep::testing::zero_tile
#define _tile_loadd rvsweep::testing::load_tile
#define _tile_stream_loadd rvsweep::testing::load_tile
#define _tile_stored rvsweep::testing::store_tile
#define _tile_dpbf16ps rvsweep::testing::multiply_tiles
#define __get_cpuid_count rvsweep::testing::leaf_with_amx
#define init_amx given_amx
#endif
