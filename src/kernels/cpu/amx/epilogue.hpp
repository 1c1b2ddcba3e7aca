#pragma once
// What becomes of the sums that leave the tiles.
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/cpu/amx/tiles.hpp"
#include "kernels/cpu/swiglu_row.hpp"

#ifdef RVSWEEP_AMX
namespace rvsweep::amx {

/// What becomes of a product's sums.
enum class Use {
  numbers,  // they are the result
  added,    // they are rounded, then added to what the result holds
  gated,    // the matrix has `out` rows of gate, then as many of up, and swiglu is the result
  largest   // of every row the place of its largest is the result
};

template <class Number>
struct Product {
  const Number* x;          // [rows, in]
  const std::byte* matrix;  // in tiles
  const Number* bias;       // [out] or null
  std::int64_t rows, in, out;
  Use use;
  Number* result;  // [rows, out]; none of what is only compared
};

/// 32 sums, plus bias where there is one.
RVSWEEP_AMX_INLINE void write(const float* sums, const float* bias, float* out) {
  __m512 a = _mm512_loadu_ps(sums), b = _mm512_loadu_ps(sums + 16);
  if (bias != nullptr) {
    a += _mm512_loadu_ps(bias);
    b += _mm512_loadu_ps(bias + 16);
  }
  _mm512_storeu_ps(out, a);
  _mm512_storeu_ps(out + 16, b);
}
RVSWEEP_AMX_INLINE __m512 widened(const std::uint16_t* numbers) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
RVSWEEP_AMX_INLINE void write(const float* sums, const std::uint16_t* bias, std::uint16_t* out) {
  __m512 a = _mm512_loadu_ps(sums), b = _mm512_loadu_ps(sums + 16);
  if (bias != nullptr) {
    a += widened(bias);
    b += widened(bias + 16);
  }
  const __m512bh rounded = _mm512_cvtne2ps_pbh(b, a);
  std::memcpy(out, &rounded, sizeof rounded);
}

/// 32 sums, plus bias where there is one, rounded and added to a result.
template <class Number>
RVSWEEP_AMX_INLINE void add(const float* sums, const Number* bias, Number* result) {
  alignas(64) Number numbers[tile_block];
  write(sums, bias, numbers);
#pragma omp simd
  for (std::int64_t i = 0; i < tile_block; ++i)
    narrow(wide(result[i]) + wide(numbers[i]), result[i]);
}

/// What sixteen lanes have met of a row.
struct alignas(64) LanesOfRow {
  float largest[16], apart[16] = {};  // apart: 0 while all numbers are finite, else NaN
  std::int32_t place[16] = {};

  LanesOfRow() { std::ranges::fill(largest, -std::numeric_limits<float>::infinity()); }
};

/// 32 more numbers of a row, which begin at `output`; a lane keeps the first of equals.
RVSWEEP_AMX_INLINE void compare(__m512 a, __m512 b, std::int64_t output, LanesOfRow& lanes) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i place = _mm512_set1_epi32(static_cast<int>(output)) + lane;
  _mm512_store_ps(lanes.apart, _mm512_load_ps(lanes.apart) + ((a - a) + (b - b)));
  const __mmask16 later = _mm512_cmp_ps_mask(b, a, _CMP_GT_OQ);
  const __m512 larger = _mm512_mask_mov_ps(a, later, b);
  const __m512i at = _mm512_mask_add_epi32(place, later, place, _mm512_set1_epi32(tile_rows));
  const __m512 largest = _mm512_load_ps(lanes.largest);
  const __mmask16 better = _mm512_cmp_ps_mask(larger, largest, _CMP_GT_OQ);
  _mm512_store_ps(lanes.largest, _mm512_mask_mov_ps(largest, better, larger));
  _mm512_mask_store_epi32(lanes.place, better, at);
}

/// What `numbers` are as a result: rounded to bfloat16 where it has that format.
RVSWEEP_AMX_INLINE __m512 rounded(__m512 numbers, float) { return numbers; }
RVSWEEP_AMX_INLINE __m512 rounded(__m512 numbers, std::uint16_t) {
  const __m256bh bits = _mm512_cvtneps_pbh(numbers);
  std::uint16_t stored[16];
  std::memcpy(stored, &bits, sizeof bits);
  return widened(stored);
}

/// 32 numbers of a result from sums of gate and up.
template <class Number>
RVSWEEP_AMX_INLINE void write_gated(const float* gate_sums, const float* up_sums, Number* out) {
  alignas(64) Number gate[tile_block], up[tile_block];
  write(gate_sums, static_cast<const Number*>(nullptr), gate);
  write(up_sums, static_cast<const Number*>(nullptr), up);
  gate_row(gate, up, tile_block, out);
}

/// What the processing of a product's panels writes to.
struct Room {
  std::uint16_t* x_tiles;  // rows_at_once of x
  std::uint16_t* terms;    // of two panels, where their numbers are split
  float* gate_sums;        // [rows_at_once, 32], where the product is gated
  LanesOfRow* lanes;       // [rows], where it is compared
};

/// Makes use of sums [rows, 32] of the rows from `first` on and the outputs from `output` on.
template <class Number>
RVSWEEP_AMX_INLINE void use_sums(const Product<Number>& p, const float* sums,
                                 const float* gate_sums, std::int64_t first, std::int64_t rows,
                                 std::int64_t output, LanesOfRow* lanes) {
  const Number* const bias = p.bias == nullptr ? nullptr : p.bias + output;
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* const of_row = sums + i * tile_block;
    const std::int64_t at = (first + i) * p.out + output;
    switch (p.use) {
      case Use::numbers:
        write(of_row, bias, p.result + at);
        break;
      case Use::added:
        add(of_row, bias, p.result + at);
        break;
      case Use::gated:
        write_gated(gate_sums + i * tile_block, of_row, p.result + at);
        break;
      case Use::largest:
        compare(rounded(_mm512_loadu_ps(of_row), Number()),
                rounded(_mm512_loadu_ps(of_row + 16), Number()), output, lanes[first + i]);
    }
  }
}

}  // namespace rvsweep::amx
#endif
