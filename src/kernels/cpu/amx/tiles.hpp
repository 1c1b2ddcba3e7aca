#pragma once
// Tile instructions: products of 16 or 32 rows with a block of 32 outputs of a matrix.
#include <algorithm>
#include <cstdint>

#include "kernels/cpu/amx/product.hpp"

// GCC before 11 does not know AMX.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 11
#define RVSWEEP_AMX __attribute__((target("avx512f,avx512bw,avx512bf16,amx-tile,amx-bf16")))
#define RVSWEEP_AMX_INLINE RVSWEEP_AMX __attribute__((always_inline)) inline
#include <immintrin.h>
#endif

// Tiles hold 16 rows of 64 bytes. x is kept as [rows/16, in/32, parts, 16, 32] bfloat16, the
// matrix' block of 32 outputs as [in/32, 2, parts, 16, 16, 2].

namespace rvsweep::amx {

constexpr std::int64_t tile_rows = 16, tile_elements = 512;

#ifdef RVSWEEP_AMX

constexpr std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// bfloat16 parts whose sum is one element.
template <class T>
constexpr int parts_of = sizeof(T) == sizeof(float) ? 3 : 1;

/// bfloat16x3 split of 32 float32 elements, the parts `stride` elements from each other: the upper
/// 16 bits, those of the remainder, those of what remains then, which are returned too.
RVSWEEP_AMX_INLINE __m512i split(const float* x, std::uint16_t* parts, std::int64_t stride) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  const __m512i odd_words =
      _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27,
                       25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  __m512i found;
  for (int part = 0; part < 3; ++part) {
    const __m512i a_bits = _mm512_castps_si512(a), b_bits = _mm512_castps_si512(b);
    found = _mm512_permutex2var_epi16(a_bits, odd_words, b_bits);
    _mm512_storeu_si512(parts + part * stride, found);
    a = _mm512_sub_ps(a, _mm512_castsi512_ps(_mm512_and_si512(a_bits, upper)));
    b = _mm512_sub_ps(b, _mm512_castsi512_ps(_mm512_and_si512(b_bits, upper)));
  }
  return found;
}
RVSWEEP_AMX_INLINE void split(const std::uint16_t* x, std::uint16_t* parts, std::int64_t) {
  _mm512_storeu_si512(parts, _mm512_loadu_si512(x));
}

/// x [rows, in] as tiles.
template <class T>
RVSWEEP_AMX void tile_x(const T* x, std::int64_t rows, std::int64_t in, std::uint16_t* tiles) {
  constexpr std::int64_t parts = parts_of<T>;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint16_t* const to =
        tiles + row / tile_rows * in * parts * tile_rows + row % tile_rows * tile_block;
    for (std::int64_t i = 0; i < in; i += tile_block)
      split(x + row * in + i, to + i * parts * tile_rows, tile_elements);
  }
}

/// Prefetches the next panel of 32 outputs during the current product: bfloat16 into L2, float32
/// already split. Memory is as slow as the products.
template <int parts>
struct PanelPrefetcher {
  static constexpr std::int64_t ahead = 512;  // elements from those that are split to those fetched

  const std::byte* stored;            // in the matrix
  std::uint16_t* split_into;          // [in/32, 2, 3, 16, 16, 2] of a float32 panel
  std::int64_t done = 0, inputs = 0;  // of `inputs` inputs
  __m512i third = {};  // OR of its third parts: 0 where elements have 16 significant bits

  RVSWEEP_AMX_INLINE void advance(std::int64_t n) {
    const std::int64_t end = std::min(inputs, done + n);
    for (; done < end; ++done) {
      if constexpr (parts == 3) {
        const auto* const elements = reinterpret_cast<const float*>(stored) + done * tile_block;
        _mm_prefetch(elements + ahead, _MM_HINT_T0);
        _mm_prefetch(elements + ahead + 16, _MM_HINT_T0);
        std::uint16_t* const to =
            split_into + (done / tile_rows * 3 * tile_rows + done % tile_rows) * tile_block;
        third = _mm512_or_si512(third, split(elements, to, tile_elements));
      } else {
        _mm_prefetch(stored + done * 64, _MM_HINT_T1);
      }
    }
  }

  RVSWEEP_AMX_INLINE bool has_third_parts() const {
    return _mm512_test_epi32_mask(third, third) != 0;
  }
};

// Tile registers: 0 to 3 sums, by rows of x and outputs; 4 and 5 the matrix; 6 and 7 x.
/// Non-temporal load unless the tile is `reused`, so that x does not evict the matrix.
template <int parts, bool both>
RVSWEEP_AMX_INLINE void load_x(const std::uint16_t* x, std::int64_t blocks, std::int64_t block,
                               int part, bool reused) {
  const std::uint16_t* const first = x + (block * parts + part) * tile_elements;
  const std::uint16_t* const second = first + blocks * parts * tile_elements;
  if (reused) {
    _tile_loadd(6, first, 64);
    if (both) _tile_loadd(7, second, 64);
  } else {
    _tile_stream_loadd(6, first, 64);
    if (both) _tile_stream_loadd(7, second, 64);
  }
}
template <int parts>
RVSWEEP_AMX_INLINE void load_matrix(const std::uint16_t* panel, std::int64_t block, int part) {
  const std::uint16_t* const tile = panel + (2 * block * parts + part) * tile_elements;
  _tile_loadd(4, tile, 64);
  _tile_loadd(5, tile + parts * tile_elements, 64);
}
template <bool both>
RVSWEEP_AMX_INLINE void add_products() {
  _tile_dpbf16ps(0, 6, 4);
  _tile_dpbf16ps(1, 6, 5);
  if (!both) return;
  _tile_dpbf16ps(2, 7, 4);
  _tile_dpbf16ps(3, 7, 5);
}

/// sums [32, 32] of 16 rows of x, or of 32 with `both`, and 32 outputs; beside each of its
/// products the next panel advances by `step`. `third_parts`: whether the panel has any.
template <int x_parts, int matrix_parts, bool both>
RVSWEEP_AMX_INLINE void multiply(const std::uint16_t* x, const std::uint16_t* panel,
                                 std::int64_t blocks, bool third_parts, float* sums,
                                 PanelPrefetcher<matrix_parts>& next, std::int64_t step) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t block = 0; block < blocks; ++block) {
    load_matrix<matrix_parts>(panel, block, 0);
    for (int part = x_parts - 1; part >= 0; --part) {
      load_x<x_parts, both>(x, blocks, block, part, matrix_parts == 3 && part == 1);
      add_products<both>();
      next.advance(step);
    }
    if constexpr (matrix_parts == 3) {
      if (third_parts) {
        load_matrix<3>(panel, block, 2);
        add_products<both>();  // with the first part of x
        next.advance(step);
      }
      load_matrix<3>(panel, block, 1);
      add_products<both>();  // with the first part of x
      next.advance(step);
      load_x<x_parts, both>(x, blocks, block, 1, false);
      add_products<both>();
      next.advance(step);
    }
  }
  constexpr std::int64_t row_bytes = tile_block * sizeof(float);
  _tile_stored(0, sums, row_bytes);
  _tile_stored(1, sums + tile_rows, row_bytes);
  if (!both) return;
  _tile_stored(2, sums + tile_rows * tile_block, row_bytes);
  _tile_stored(3, sums + tile_rows * tile_block + tile_rows, row_bytes);
}

#endif
}  // namespace rvsweep::amx
