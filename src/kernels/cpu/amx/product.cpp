#include "kernels/cpu/amx/product.hpp"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cpu/amx/epilogue.hpp"
#include "kernels/cpu/amx/few_rows.hpp"
#include "kernels/cpu/parallel.hpp"
#include "rvsweep/core/error.hpp"

#ifdef RVSWEEP_AMX
#include <cpuid.h>
#endif

namespace rvsweep {
namespace {

using namespace amx;

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

/// Rows of x that a block of 32 outputs meets before the next one does: what the cache holds.
constexpr std::int64_t rows_at_once(std::int64_t rows, std::int64_t in, std::int64_t terms) {
  constexpr std::int64_t cached_numbers = 1 << 19;  // bfloat16, half of a usual cache
  return std::min(std::max(cached_numbers / (in * terms) / tile_block * tile_block, tile_block),
                  divided_up(rows, tile_rows) * tile_rows);
}

/// The blocks [begin, end) of 32 numbers of the result's rows.
template <class Number, int matrix_terms>
RVSWEEP_AMX void multiply_panels(const Product<Number>& p, std::int64_t begin, std::int64_t end,
                                 const Room& room) {
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
  const std::int64_t blocks = p.in / tile_block, parts = p.use == Use::gated ? 2 : 1;
  const std::int64_t panels = (end - begin) * parts;  // gate's and up's in turns
  const std::int64_t at_once = rows_at_once(p.rows, p.in, x_terms);
  const std::int64_t turns = panels * divided_up(p.rows, at_once);
  const std::int64_t pairs = divided_up(at_once, 2 * tile_rows);
  const std::int64_t step = divided_up(tile_block, pairs * products);
  const auto panel_of = [&](std::int64_t turn) {
    const std::int64_t of_result = begin + turn % panels / parts, part = turn % parts;
    const std::byte* const stored =
        p.matrix + (of_result * tile_block + part * p.out) * p.in * number_bytes;
    std::uint16_t* const near =
        matrix_terms == 3 ? room.terms + turn % 2 * 3 * p.in * tile_block : nullptr;
    return NextPanel<matrix_terms>{stored, near, 0, turn < turns ? p.in : 0};
  };
  NextPanel<matrix_terms> next = panel_of(0);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    next.advance(next.all);
    const auto* const panel =
        matrix_terms == 3 ? next.near : reinterpret_cast<const std::uint16_t*>(next.stored);
    const bool third_terms = next.has_third_terms();
    next = panel_of(turn + 1);
    const std::int64_t output = (begin + turn % panels / parts) * tile_block;
    const std::int64_t first = turn / panels * at_once;
    const std::int64_t last = std::min(p.rows, first + at_once);
    const bool is_gate = p.use == Use::gated && turn % parts == 0;
    if (turn % panels == 0) tile_x(p.x + first * p.in, last - first, p.in, room.x_tiles);
    for (std::int64_t row = first; row < last; row += 2 * tile_rows) {
      const std::uint16_t* const x = room.x_tiles + (row - first) * p.in * x_terms;
      float* const gate_sums = room.gate_sums + (row - first) * tile_block;
      float* const found = is_gate ? gate_sums : sums;
      if (row + tile_rows < last)
        multiply<x_terms, matrix_terms, true>(x, panel, blocks, third_terms, found, next, step);
      else
        multiply<x_terms, matrix_terms, false>(x, panel, blocks, third_terms, found, next, step);
      if (is_gate) continue;
      use_sums(p, sums, gate_sums, row, std::min(2 * tile_rows, last - row), output, room.lanes);
    }
  }
  _tile_release();
}

/// The same for few rows and a float32 matrix.
RVSWEEP_AMX void multiply_panels_of_few_rows(const Product<float>& p, std::int64_t begin,
                                             std::int64_t end, const Room& room) {
  alignas(64) float sums[few_rows * tile_block];
  const std::int64_t bytes = p.in * tile_block * static_cast<std::int64_t>(sizeof(float));
  const bool gated = p.use == Use::gated;
  for (std::int64_t panel = begin; panel < end; ++panel) {
    const std::byte* const stored = p.matrix + panel * bytes;
    const std::byte* const next = p.matrix + std::min(panel + 1, end - 1) * bytes;
    const std::byte* const up = stored + p.out / tile_block * bytes;
    if (gated) multiply_few_rows(p.x, p.rows, p.in, stored, up, room.gate_sums);
    multiply_few_rows(p.x, p.rows, p.in, gated ? up : stored, next, sums);
    use_sums(p, sums, room.gate_sums, 0, p.rows, panel * tile_block, room.lanes);
  }
}

template <class Number>
Product<Number> product_of(const at::Tensor& x, const at::Tensor& tiles, Use use) {
  RVSWEEP_EXPECT(has_amx(), "tiles are for processors with AMX");
  const auto in = tiles.size(1) * tile_block;
  const auto out = tiles.size(0) * tile_block / (use == Use::gated ? 2 : 1);
  RVSWEEP_EXPECT(x.size(-1) == in && out % tile_block == 0, "a product's sizes agree");
  return {static_cast<const Number*>(x.const_data_ptr()),
          static_cast<const std::byte*>(tiles.const_data_ptr()),
          nullptr,
          x.numel() / in,
          in,
          out,
          use,
          nullptr};
}

/// Every panel of a product. lanes [threads, rows], where it is compared: each thread has its own.
template <class Number>
void multiply_all(const Product<Number>& p, bool split, LanesOfRow* lanes = nullptr) {
  const auto at_once = rows_at_once(p.rows, p.in, terms_of<Number>);
  const auto x_numbers = at_once * p.in * terms_of<Number>;
  const auto panel_numbers = split ? 2 * 3 * tile_block * p.in : 0;
  const auto sum_numbers = p.use == Use::gated ? 2 * at_once * tile_block : 0;  // of 4 bytes
  at::parallel_for(0, p.out / tile_block, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor memory = at::empty({x_numbers + panel_numbers + sum_numbers}, at::kShort);
    auto* const x_tiles = static_cast<std::uint16_t*>(memory.data_ptr());
    std::uint16_t* const terms = x_tiles + x_numbers;
    const Room room{x_tiles, terms, reinterpret_cast<float*>(terms + panel_numbers),
                    lanes == nullptr ? nullptr : lanes + at::get_thread_num() * p.rows};
    if constexpr (sizeof(Number) == sizeof(float)) {
      if (split && p.rows <= few_rows) return multiply_panels_of_few_rows(p, begin, end, room);
      if (split) return multiply_panels<Number, 3>(p, begin, end, room);
    }
    multiply_panels<Number, 1>(p, begin, end, room);
  });
}

template <class Number>
void multiply_into(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias, Use use,
                   const at::Tensor& result) {
  const at::Tensor flat = x.contiguous();
  Product<Number> product = product_of<Number>(flat, tiles, use);
  RVSWEEP_EXPECT(result.is_contiguous() && result.numel() == product.rows * product.out,
                 "there is a place for every number");
  product.result = static_cast<Number*>(result.data_ptr());
  if (bias.defined()) product.bias = static_cast<const Number*>(bias.const_data_ptr());
  multiply_all(product, tiles.scalar_type() == at::kFloat);
}

template <class Number>
LargestLogits largest_of(const at::Tensor& x, const at::Tensor& tiles) {
  const at::Tensor flat = x.contiguous();
  const Product<Number> product = product_of<Number>(flat, tiles, Use::largest);
  const auto threads = at::get_num_threads();
  std::vector<LanesOfRow> lanes(static_cast<std::size_t>(threads * product.rows));
  multiply_all(product, tiles.scalar_type() == at::kFloat, lanes.data());
  const LargestLogits found{at::empty({product.rows}, at::kLong),
                            at::empty({product.rows}, at::kBool)};
  for (std::int64_t row = 0; row < product.rows; ++row) {
    float largest = -std::numeric_limits<float>::infinity(), apart = 0;
    std::int32_t place = 0;
    for (int thread = 0; thread < threads; ++thread) {
      const LanesOfRow& of_row = lanes[static_cast<std::size_t>(thread * product.rows + row)];
      for (int lane = 0; lane < 16; ++lane) {
        apart += of_row.apart[lane];
        const bool first = of_row.largest[lane] == largest && of_row.place[lane] < place;
        if (!first && !(of_row.largest[lane] > largest)) continue;
        largest = of_row.largest[lane];
        place = of_row.place[lane];
      }
    }
    found.place.data_ptr<std::int64_t>()[row] = place;
    found.finite.data_ptr<bool>()[row] = apart == 0;
  }
  return found;
}

void check_formats(const at::Tensor& x, const at::Tensor& tiles) {
  const bool wide = x.scalar_type() == at::kFloat;
  RVSWEEP_EXPECT(wide || (x.scalar_type() == at::kBFloat16 && tiles.scalar_type() == at::kBFloat16),
                 "float32 matrices are for float32");
}

void multiply_into(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias, Use use,
                   const at::Tensor& result) {
  check_formats(x, tiles);
  if (x.scalar_type() == at::kFloat)
    multiply_into<float>(x, tiles, bias, use, result);
  else
    multiply_into<std::uint16_t>(x, tiles, bias, use, result);
}

/// For a result of `out` numbers a row.
at::Tensor empty_result(const at::Tensor& x, std::int64_t out) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out;
  return at::empty(shape, x.options());
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
  const at::Tensor result = empty_result(x, tiles.size(0) * tile_block);
  multiply_into(x, tiles, bias, Use::numbers, result);
  return result;
}

at::Tensor amx_gated_product(const at::Tensor& x, const at::Tensor& tiles) {
  const at::Tensor result = empty_result(x, tiles.size(0) * tile_block / 2);
  multiply_into(x, tiles, {}, Use::gated, result);
  return result;
}

void amx_add_product(const at::Tensor& x, const at::Tensor& tiles, const at::Tensor& bias,
                     const at::Tensor& result) {
  multiply_into(x, tiles, bias, Use::added, result);
}

LargestLogits amx_largest(const at::Tensor& x, const at::Tensor& tiles) {
  check_formats(x, tiles);
  return x.scalar_type() == at::kFloat ? largest_of<float>(x, tiles)
                                       : largest_of<std::uint16_t>(x, tiles);
}
#else
bool has_amx() { return false; }

at::Tensor amx_product(const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  RVSWEEP_EXPECT(false, "tiles are for processors with AMX");
  return {};
}

at::Tensor amx_gated_product(const at::Tensor&, const at::Tensor&) {
  RVSWEEP_EXPECT(false, "tiles are for processors with AMX");
  return {};
}

void amx_add_product(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  RVSWEEP_EXPECT(false, "tiles are for processors with AMX");
}

LargestLogits amx_largest(const at::Tensor&, const at::Tensor&) {
  RVSWEEP_EXPECT(false, "tiles are for processors with AMX");
  return {};
}
#endif

}  // namespace rvsweep
