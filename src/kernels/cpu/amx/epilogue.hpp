#pragma once
// Epilogues: what becomes of the sums that leave the tiles.
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/cpu/amx/tiles.hpp"
#include "kernels/cpu/swiglu_row.hpp"

#ifdef RVSWEEP_AMX
namespace rvsweep::amx {

/// What becomes of a product's sums.
enum class Epilogue {
  store,       // rounded into the result
  accumulate,  // rounded, then added to the result
  swiglu,      // the matrix has `out` rows of gate, then as many of up
  argmax       // compared, not stored
};

template <class T>
struct Product {
  const T* x;               // [rows, in]
  const std::byte* matrix;  // in tiles
  const T* bias;            // [out] or null
  std::int64_t rows, in, out;
  Epilogue epilogue;
  T* result;  // [rows, out]; null for argmax
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
RVSWEEP_AMX_INLINE __m512 load_floats(const std::uint16_t* x) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
RVSWEEP_AMX_INLINE void write(const float* sums, const std::uint16_t* bias, std::uint16_t* out) {
  __m512 a = _mm512_loadu_ps(sums), b = _mm512_loadu_ps(sums + 16);
  if (bias != nullptr) {
    a += load_floats(bias);
    b += load_floats(bias + 16);
  }
  const __m512bh rounded = _mm512_cvtne2ps_pbh(b, a);
  std::memcpy(out, &rounded, sizeof rounded);
}

/// 32 sums, plus bias where there is one, rounded and added to a result.
template <class T>
RVSWEEP_AMX_INLINE void add(const float* sums, const T* bias, T* result) {
  alignas(64) T rounded[tile_block];
  write(sums, bias, rounded);
#pragma omp simd
  for (std::int64_t i = 0; i < tile_block; ++i)
    round_to(to_float(result[i]) + to_float(rounded[i]), result[i]);
}

/// Running argmax of a row in 16 lanes.
struct alignas(64) ArgMaxLanes {
  float largest[16], nonfinite[16] = {};  // nonfinite: 0 while all elements are finite, else NaN
  std::int32_t output[16] = {};           // of the largest

  ArgMaxLanes() { std::ranges::fill(largest, -std::numeric_limits<float>::infinity()); }
};

/// 32 more elements of a row, the first of them output `first`; a lane keeps the first of equals.
RVSWEEP_AMX_INLINE void compare(__m512 a, __m512 b, std::int64_t first, ArgMaxLanes& lanes) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i output = _mm512_set1_epi32(static_cast<int>(first)) + lane;
  _mm512_store_ps(lanes.nonfinite, _mm512_load_ps(lanes.nonfinite) + ((a - a) + (b - b)));
  const __mmask16 later = _mm512_cmp_ps_mask(b, a, _CMP_GT_OQ);
  const __m512 larger = _mm512_mask_mov_ps(a, later, b);
  const __m512i at = _mm512_mask_add_epi32(output, later, output, _mm512_set1_epi32(tile_rows));
  const __m512 largest = _mm512_load_ps(lanes.largest);
  const __mmask16 better = _mm512_cmp_ps_mask(larger, largest, _CMP_GT_OQ);
  _mm512_store_ps(lanes.largest, _mm512_mask_mov_ps(largest, better, larger));
  _mm512_mask_store_epi32(lanes.output, better, at);
}

/// Rounded to the result's dtype.
RVSWEEP_AMX_INLINE __m512 rounded(__m512 sums, float) { return sums; }
RVSWEEP_AMX_INLINE __m512 rounded(__m512 sums, std::uint16_t) {
  const __m256bh bits = _mm512_cvtneps_pbh(sums);
  std::uint16_t stored[16];
  std::memcpy(stored, &bits, sizeof bits);
  return load_floats(stored);
}

/// 32 elements of a result from sums of gate and up.
template <class T>
RVSWEEP_AMX_INLINE void write_gated(const float* gate_sums, const float* up_sums, T* out) {
  alignas(64) T gate[tile_block], up[tile_block];
  write(gate_sums, static_cast<const T*>(nullptr), gate);
  write(up_sums, static_cast<const T*>(nullptr), up);
  gate_row(gate, up, tile_block, out);
}

/// Scratch memory of a thread.
struct Workspace {
  std::uint16_t* x_tiles;  // rows_at_once of x
  std::uint16_t* parts;    // of two panels, where they are split
  float* gate_sums;        // [rows_at_once, 32], where the product is gated
  ArgMaxLanes* lanes;      // [rows], where it is compared
};

/// Applies the epilogue to sums [rows, 32] of the rows from `first` on and the outputs from
/// `output` on.
template <class T>
RVSWEEP_AMX_INLINE void apply_epilogue(const Product<T>& p, const float* sums,
                                       const float* gate_sums, std::int64_t first,
                                       std::int64_t rows, std::int64_t output, ArgMaxLanes* lanes) {
  const T* const bias = p.bias == nullptr ? nullptr : p.bias + output;
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* const of_row = sums + i * tile_block;
    const std::int64_t at = (first + i) * p.out + output;
    switch (p.epilogue) {
      case Epilogue::store:
        write(of_row, bias, p.result + at);
        break;
      case Epilogue::accumulate:
        add(of_row, bias, p.result + at);
        break;
      case Epilogue::swiglu:
        write_gated(gate_sums + i * tile_block, of_row, p.result + at);
        break;
      case Epilogue::argmax:
        compare(rounded(_mm512_loadu_ps(of_row), T()), rounded(_mm512_loadu_ps(of_row + 16), T()),
                output, lanes[first + i]);
    }
  }
}

}  // namespace rvsweep::amx
#endif
