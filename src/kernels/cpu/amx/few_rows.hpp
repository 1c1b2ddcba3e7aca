#pragma once
// Products of few rows with a float32 matrix in tiles: reading it from memory takes longer than
// multiplying with vectors, and splitting it would take longer still.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/cpu/amx/tiles.hpp"

#ifdef RVSWEEP_AMX
namespace rvsweep::amx {

/// The most rows that vectors multiply as fast as memory gives the matrix.
constexpr std::int64_t few_rows = 16;

/// Rows whose sums with 16 outputs fit the registers.
constexpr std::int64_t rows_of_group = 8;

/// Inputs that are summed one after another; the sums of such parts are added, so that errors stay
/// below those of one long sum.
constexpr std::int64_t inputs_of_part = 128;

/// Adds to sums [group, 32] the products of the inputs [begin, end) of `rows` rows of x [rows, in],
/// at most `group`, with the lower or upper 16 outputs of a panel.
/// Prefetches `next` meanwhile, 128 / `passes` bytes per input.
template <std::int64_t group>
RVSWEEP_AMX_INLINE void add_part(const float* x, std::int64_t rows, std::int64_t in,
                                 std::int64_t begin, std::int64_t end, const float* panel,
                                 bool upper, const std::byte* next, std::int64_t passes,
                                 float* sums) {
  constexpr std::int64_t pair_bytes = 2 * tile_block * sizeof(float), line = 64;
  const float* const outputs = panel + (upper ? tile_rows * tile_block : 0);
  __m512 sum[group][2] = {};  // of 8 outputs each, over even and odd inputs
  for (std::int64_t pair = begin / 2; pair < end / 2; ++pair) {
    const float* const elements = outputs + (pair / tile_rows * tile_rows + pair) * tile_block;
    const __m512 first = _mm512_loadu_ps(elements), second = _mm512_loadu_ps(elements + 16);
    for (std::int64_t at = pair * pair_bytes / passes; at < (pair + 1) * pair_bytes / passes;
         at += line)
      _mm_prefetch(next + at, _MM_HINT_T1);
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < group; ++r) {
      double two_inputs;
      std::memcpy(&two_inputs, x + std::min(r, rows - 1) * in + 2 * pair, sizeof two_inputs);
      const __m512 inputs = _mm512_castpd_ps(_mm512_set1_pd(two_inputs));
      sum[r][0] = _mm512_fmadd_ps(inputs, first, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(inputs, second, sum[r][1]);
    }
  }
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < group; ++r) {
    float* const of_row = sums + r * tile_block + (upper ? tile_rows : 0);
    const __m512 of_part = _mm512_permutex2var_ps(sum[r][0], even, sum[r][1]) +
                           _mm512_permutex2var_ps(sum[r][0], odd, sum[r][1]);
    _mm512_storeu_ps(of_row, _mm512_loadu_ps(of_row) + of_part);
  }
}

/// sums [rows, 32] of x [rows, in], `rows` at most few_rows, rounded up to whole groups, and the 32
/// outputs of `panel`. `next` comes after it.
RVSWEEP_AMX_INLINE void multiply_few_rows(const float* x, std::int64_t rows, std::int64_t in,
                                          const std::byte* panel, const std::byte* next,
                                          float* sums) {
  const std::int64_t passes = 2 * divided_up(rows, rows_of_group);
  const std::int64_t bytes = in * tile_block * static_cast<std::int64_t>(sizeof(float)) / passes;
  std::fill_n(sums, passes / 2 * rows_of_group * tile_block, 0.0F);
  const auto add = rows == 1 ? add_part<1> : add_part<rows_of_group>;
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    const std::int64_t row = pass / 2 * rows_of_group;
    for (std::int64_t begin = 0; begin < in; begin += inputs_of_part)
      add(x + row * in, std::min(rows - row, rows_of_group), in, begin,
          std::min(in, begin + inputs_of_part), reinterpret_cast<const float*>(panel),
          pass % 2 == 1, next + pass * bytes, passes, sums + row * tile_block);
  }
}

}  // namespace rvsweep::amx
#endif
