#include "rvsweep/model/amx_product.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "rvsweep/core/error.hpp"

// GCC before 11 does not know AMX.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 11
#define RVSWEEP_AMX __attribute__((target("avx512f,avx512bw,avx512bf16,amx-tile,amx-bf16")))
#define RVSWEEP_AMX_INLINE RVSWEEP_AMX __attribute__((always_inline)) inline
#include <cpuid.h>
#include <immintrin.h>
#endif

// Tiles hold 16 rows of 64 bytes. x is kept as [rows/16, in/32, terms, 16, 32] bfloat16, the
// matrix' block of 32 outputs as [in/32, 2, terms, 16, 16, 2].

namespace rvsweep {
namespace {

constexpr std::int64_t tile_rows = 16, tile_numbers = 512;

/// `in` counts pairs.
template <class Pair>
void arrange(const Pair* rows, std::int64_t out, std::int64_t in, Pair* tiles) {
  for (std::int64_t first_out = 0; first_out < out; first_out += tile_block)
    for (std::int64_t first_in = 0; first_in < in; first_in += tile_block / 2)
      for (std::int64_t half = 0; half < tile_block; half += tile_rows) {
        const Pair* const corner = rows + (first_out + half) * in + first_in;
        for (std::int64_t pair = 0; pair < tile_block / 2; ++pair)
          for (std::int64_t o = 0; o < tile_rows; ++o) *tiles++ = corner[o * in + pair];
      }
}

}  // namespace

std::vector<std::int64_t> tiled_shape(std::int64_t out, std::int64_t in) {
  return {out / tile_block, in / tile_block, 2, tile_rows, tile_rows, 2};
}

bool is_in_tiles(const at::Tensor& matrix) { return matrix.dim() == 6; }

void arrange_in_tiles(const std::byte* rows, std::int64_t out, std::int64_t in,
                      std::size_t number_bytes, std::byte* tiles) {
  RVSWEEP_EXPECT(out % tile_block == 0 && in % tile_block == 0, "tiles are full");
  if (number_bytes == sizeof(std::uint16_t))
    arrange(reinterpret_cast<const std::uint32_t*>(rows), out, in / 2,
            reinterpret_cast<std::uint32_t*>(tiles));
  else
    arrange(reinterpret_cast<const std::uint64_t*>(rows), out, in / 2,
            reinterpret_cast<std::uint64_t*>(tiles));
}

#ifdef RVSWEEP_AMX
namespace {

/// How many bfloat16 numbers are one number.
template <class Number>
constexpr int terms_of = sizeof(Number) == sizeof(float) ? 3 : 1;

/// 32 float32 numbers as three bfloat16 ones each, `stride` apart: what the upper half of the bits
/// says, what it leaves, and what that leaves.
RVSWEEP_AMX_INLINE void split(const float* numbers, std::uint16_t* terms, std::int64_t stride) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  const __m512i odd_words =
      _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27,
                       25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  __m512 a = _mm512_loadu_ps(numbers), b = _mm512_loadu_ps(numbers + 16);
  for (int term = 0; term < 3; ++term) {
    const __m512i a_bits = _mm512_castps_si512(a), b_bits = _mm512_castps_si512(b);
    _mm512_storeu_si512(terms + term * stride,
                        _mm512_permutex2var_epi16(a_bits, odd_words, b_bits));
    a = _mm512_sub_ps(a, _mm512_castsi512_ps(_mm512_and_si512(a_bits, upper)));
    b = _mm512_sub_ps(b, _mm512_castsi512_ps(_mm512_and_si512(b_bits, upper)));
  }
}
RVSWEEP_AMX_INLINE void split(const std::uint16_t* numbers, std::uint16_t* terms, std::int64_t) {
  _mm512_storeu_si512(terms, _mm512_loadu_si512(numbers));
}

/// x [rows, in] as tiles.
template <class Number>
RVSWEEP_AMX void tile_x(const Number* x, std::int64_t rows, std::int64_t in, std::uint16_t* tiles) {
  constexpr std::int64_t terms = terms_of<Number>;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint16_t* const to =
        tiles + row / tile_rows * in * terms * tile_rows + row % tile_rows * tile_block;
    for (std::int64_t i = 0; i < in; i += tile_block)
      split(x + row * in + i, to + i * terms * tile_rows, tile_numbers);
  }
}

/// A block of 32 outputs that comes next and is brought near while another one is multiplied, since
/// memory is as slow as the products: 32 numbers at a time, bfloat16 into the cache, float32 as
/// terms.
template <int terms>
struct NextPanel {
  static constexpr std::int64_t ahead = 512;  // numbers between what is split and what is fetched

  const std::byte* stored;
  std::uint16_t* near;
  std::int64_t done = 0, all = 0;

  RVSWEEP_AMX_INLINE void advance(std::int64_t n) {
    const std::int64_t end = std::min(all, done + n);
    for (; done < end; ++done) {
      if constexpr (terms == 3) {
        const auto* const numbers = reinterpret_cast<const float*>(stored) + done * tile_block;
        _mm_prefetch(numbers + ahead, _MM_HINT_T0);
        _mm_prefetch(numbers + ahead + 16, _MM_HINT_T0);
        split(numbers, near + (done / tile_rows * 3 * tile_rows + done % tile_rows) * tile_block,
              tile_numbers);
      } else {
        _mm_prefetch(stored + done * 64, _MM_HINT_T1);
      }
    }
  }
};

// Tile registers: 0 to 3 sums, by rows of x and outputs; 4 and 5 the matrix; 6 and 7 x.
/// `again`: the same tile is needed soon; others had better not drive the matrix from the cache.
template <int terms, bool both>
RVSWEEP_AMX_INLINE void load_x(const std::uint16_t* x, std::int64_t blocks, std::int64_t block,
                               int term, bool again) {
  const std::uint16_t* const first = x + (block * terms + term) * tile_numbers;
  const std::uint16_t* const second = first + blocks * terms * tile_numbers;
  if (again) {
    _tile_loadd(6, first, 64);
    if (both) _tile_loadd(7, second, 64);
  } else {
    _tile_stream_loadd(6, first, 64);
    if (both) _tile_stream_loadd(7, second, 64);
  }
}
template <int terms>
RVSWEEP_AMX_INLINE void load_matrix(const std::uint16_t* panel, std::int64_t block, int term) {
  const std::uint16_t* const tile = panel + (2 * block * terms + term) * tile_numbers;
  _tile_loadd(4, tile, 64);
  _tile_loadd(5, tile + terms * tile_numbers, 64);
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
/// products the next panel advances by `step`.
template <int x_terms, int matrix_terms, bool both>
RVSWEEP_AMX_INLINE void multiply(const std::uint16_t* x, const std::uint16_t* panel,
                                 std::int64_t blocks, float* sums, NextPanel<matrix_terms>& next,
                                 std::int64_t step) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t block = 0; block < blocks; ++block) {
    load_matrix<matrix_terms>(panel, block, 0);
    for (int term = x_terms - 1; term >= 0; --term) {
      load_x<x_terms, both>(x, blocks, block, term, matrix_terms == 3 && term == 1);
      add_products<both>();
      next.advance(step);
    }
    if constexpr (matrix_terms == 3) {
      load_matrix<3>(panel, block, 2);
      add_products<both>();  // with the first term of x
      next.advance(step);
      load_matrix<3>(panel, block, 1);
      add_products<both>();
      next.advance(step);
      load_x<x_terms, both>(x, blocks, block, 1, false);
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

template <class Number>
struct Product {
  const Number* x;          // [rows, in]
  const std::byte* matrix;  // in tiles
  const Number* bias;       // [out] or null
  Number* result;           // [rows, out]
  std::int64_t rows, in, out;
};

struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

constexpr std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Rows of x that a block of 32 outputs meets before the next one does: what the cache holds.
constexpr std::int64_t rows_at_once(std::int64_t rows, std::int64_t in, std::int64_t terms) {
  constexpr std::int64_t cached_numbers = 1 << 19;  // bfloat16, half of a usual cache
  return std::min(std::max(cached_numbers / (in * terms) / tile_block * tile_block, tile_block),
                  divided_up(rows, tile_rows) * tile_rows);
}

/// The blocks of outputs [begin, end). `x_tiles`: room for rows_at_once in tiles; `terms`: for two
/// blocks where they are split.
template <class Number, int matrix_terms>
RVSWEEP_AMX void multiply_panels(const Product<Number>& p, std::int64_t begin, std::int64_t end,
                                 std::uint16_t* x_tiles, std::uint16_t* terms) {
  constexpr int x_terms = terms_of<Number>, products = matrix_terms == 3 ? 6 : x_terms;
  constexpr std::int64_t number_bytes = matrix_terms == 3 ? 4 : 2;
  TileShapes shapes;
  for (int tile = 0; tile < 8; ++tile) {
    const bool of_matrix = tile == 4 || tile == 5;
    shapes.row_bytes[tile] = 64;
    shapes.rows[tile] =
        static_cast<std::uint8_t>(of_matrix ? tile_rows : std::min(p.rows, tile_rows));
  }
  _tile_loadconfig(&shapes);
  alignas(64) float sums[tile_block * tile_block];
  const std::int64_t blocks = p.in / tile_block, panels = end - begin;
  const std::int64_t at_once = rows_at_once(p.rows, p.in, x_terms);
  const std::int64_t turns = panels * divided_up(p.rows, at_once);
  const std::int64_t pairs = divided_up(at_once, 2 * tile_rows);
  const std::int64_t step = divided_up(tile_block, pairs * products);
  const auto panel_of = [&](std::int64_t turn) {
    const std::byte* const stored =
        p.matrix + (begin + turn % panels) * p.in * tile_block * number_bytes;
    std::uint16_t* const near =
        matrix_terms == 3 ? terms + turn % 2 * 3 * p.in * tile_block : nullptr;
    return NextPanel<matrix_terms>{stored, near, 0, turn < turns ? p.in : 0};
  };
  NextPanel<matrix_terms> next = panel_of(0);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    next.advance(next.all);
    const auto* const panel =
        matrix_terms == 3 ? next.near : reinterpret_cast<const std::uint16_t*>(next.stored);
    next = panel_of(turn + 1);
    const std::int64_t output = (begin + turn % panels) * tile_block;
    const std::int64_t first = turn / panels * at_once;
    const std::int64_t last = std::min(p.rows, first + at_once);
    if (turn % panels == 0) tile_x(p.x + first * p.in, last - first, p.in, x_tiles);
    for (std::int64_t row = first; row < last; row += 2 * tile_rows) {
      const std::uint16_t* const x = x_tiles + (row - first) * p.in * x_terms;
      if (row + tile_rows < last)
        multiply<x_terms, matrix_terms, true>(x, panel, blocks, sums, next, step);
      else
        multiply<x_terms, matrix_terms, false>(x, panel, blocks, sums, next, step);
      for (std::int64_t i = 0; i < std::min(2 * tile_rows, last - row); ++i)
        write(sums + i * tile_block, p.bias == nullptr ? nullptr : p.bias + output,
              p.result + (row + i) * p.out + output);
    }
  }
  _tile_release();
}

template <class Number>
at::Tensor product_of(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias) {
  const auto in = tiles.size(1) * tile_block, out = tiles.size(0) * tile_block;
  const auto rows = x.numel() / in;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out;
  const at::Tensor flat = x.contiguous(), result = at::empty(shape, x.options());
  const Product<Number> product{
      static_cast<const Number*>(flat.const_data_ptr()),
      static_cast<const std::byte*>(tiles.const_data_ptr()),
      bias.defined() ? static_cast<const Number*>(bias.const_data_ptr()) : nullptr,
      static_cast<Number*>(result.data_ptr()),
      rows,
      in,
      out};
  const bool split = tiles.scalar_type() == at::kFloat;
  const auto x_numbers = rows_at_once(rows, in, terms_of<Number>) * in * terms_of<Number>;
  const auto panel_numbers = split ? 2 * 3 * tile_block * in : 0;
  at::parallel_for(0, tiles.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor room = at::empty({x_numbers + panel_numbers}, x.options().dtype(at::kShort));
    auto* const x_tiles = static_cast<std::uint16_t*>(room.data_ptr());
    std::uint16_t* const terms = x_tiles + x_numbers;
    if constexpr (sizeof(Number) == sizeof(float))
      if (split) return multiply_panels<Number, 3>(product, begin, end, x_tiles, terms);
    multiply_panels<Number, 1>(product, begin, end, x_tiles, terms);
  });
  return result;
}

bool processor_has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & bit_AMX_TILE) != 0 &&
         (d & bit_AMX_BF16) != 0 && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512bf16");
}

}  // namespace

bool has_amx() {
  static const bool found =
      processor_has_amx() && at::get_cpu_capability() == "AVX512" && at::cpu::init_amx();
  return found;
}

at::Tensor amx_product(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias) {
  RVSWEEP_EXPECT(has_amx(), "tiles are for processors with AMX");
  RVSWEEP_EXPECT(x.size(-1) == tiles.size(1) * tile_block, "a product's sizes agree");
  if (x.scalar_type() == at::kFloat) return product_of<float>(x, tiles, bias);
  RVSWEEP_EXPECT(x.scalar_type() == at::kBFloat16 && tiles.scalar_type() == at::kBFloat16,
                 "float32 matrices are for float32");
  return product_of<std::uint16_t>(x, tiles, bias);
}
#else
bool has_amx() { return false; }

at::Tensor amx_product(const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  RVSWEEP_EXPECT(false, "tiles are for processors with AMX");
  return {};
}
#endif

}  // namespace rvsweep
