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

void arrange_in_tiles(const std::byte* rows, std::int64_t out, std::int64_t in,
                      std::size_t element_bytes, std::byte* tiles) {
  RVSWEEP_EXPECT(out % tile_block == 0 && in % tile_block == 0, "tiles must be full");
  if (element_bytes == sizeof(std::uint16_t))
    arrange(reinterpret_cast<const std::uint32_t*>(rows), out, in / 2,
            reinterpret_cast<std::uint32_t*>(tiles));
  else
    arrange(reinterpret_cast<const std::uint64_t*>(rows), out, in / 2,
            reinterpret_cast<std::uint64_t*>(tiles));
}

#ifdef RVSWEEP_AMX
namespace {

/// Rows of x that a block of 32 outputs meets before the next one does: what the cache holds.
constexpr std::int64_t rows_at_once(std::int64_t rows, std::int64_t in, std::int64_t parts) {
  constexpr std::int64_t cached_elements = 1 << 19;  // bfloat16, half of a usual cache
  return std::min(std::max(cached_elements / (in * parts) / tile_block * tile_block, tile_block),
                  divided_up(rows, tile_rows) * tile_rows);
}

/// Panels [begin, end), of 32 outputs each, of a product.
template <class T, int matrix_parts>
RVSWEEP_AMX void multiply_panels(const Product<T>& p, std::int64_t begin, std::int64_t end,
                                 const Workspace& workspace) {
  constexpr int x_parts = parts_of<T>, products = matrix_parts == 3 ? 6 : x_parts;
  constexpr std::int64_t element_bytes = matrix_parts == 3 ? 4 : 2;
  TileShapes shapes;
  for (int tile = 0; tile < 8; ++tile) {
    const bool of_matrix = tile == 4 || tile == 5;
    shapes.row_bytes[tile] = 64;
    shapes.rows[tile] =
        static_cast<std::uint8_t>(of_matrix ? tile_rows : std::min(p.rows, tile_rows));
  }
  _tile_loadconfig(&shapes);
  alignas(64) float sums[tile_block * tile_block];
  const std::int64_t blocks = p.in / tile_block, halves = p.epilogue == Epilogue::swiglu ? 2 : 1;
  const std::int64_t panels = (end - begin) * halves;  // gate's and up's alternate
  const std::int64_t at_once = rows_at_once(p.rows, p.in, x_parts);
  const std::int64_t turns = panels * divided_up(p.rows, at_once);
  const std::int64_t pairs = divided_up(at_once, 2 * tile_rows);
  const std::int64_t step = divided_up(tile_block, pairs * products);
  const auto panel_of = [&](std::int64_t turn) {
    const std::int64_t of_result = begin + turn % panels / halves, half = turn % halves;
    const std::byte* const stored =
        p.matrix + (of_result * tile_block + half * p.out) * p.in * element_bytes;
    std::uint16_t* const split_into =
        matrix_parts == 3 ? workspace.parts + turn % 2 * 3 * p.in * tile_block : nullptr;
    return PanelPrefetcher<matrix_parts>{stored, split_into, 0, turn < turns ? p.in : 0};
  };
  PanelPrefetcher<matrix_parts> next = panel_of(0);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    next.advance(next.inputs);
    const auto* const panel =
        matrix_parts == 3 ? next.split_into : reinterpret_cast<const std::uint16_t*>(next.stored);
    const bool third_parts = next.has_third_parts();
    next = panel_of(turn + 1);
    const std::int64_t output = (begin + turn % panels / halves) * tile_block;
    const std::int64_t first = turn / panels * at_once;
    const std::int64_t last = std::min(p.rows, first + at_once);
    const bool is_gate = p.epilogue == Epilogue::swiglu && turn % halves == 0;
    if (turn % panels == 0) tile_x(p.x + first * p.in, last - first, p.in, workspace.x_tiles);
    for (std::int64_t row = first; row < last; row += 2 * tile_rows) {
      const std::uint16_t* const x = workspace.x_tiles + (row - first) * p.in * x_parts;
      float* const gate_sums = workspace.gate_sums + (row - first) * tile_block;
      float* const found = is_gate ? gate_sums : sums;
      if (row + tile_rows < last)
        multiply<x_parts, matrix_parts, true>(x, panel, blocks, third_parts, found, next, step);
      else
        multiply<x_parts, matrix_parts, false>(x, panel, blocks, third_parts, found, next, step);
      if (is_gate) continue;
      apply_epilogue(p, sums, gate_sums, row, std::min(2 * tile_rows, last - row), output,
                     workspace.lanes);
    }
  }
  _tile_release();
}

/// The same for few rows and a float32 matrix.
RVSWEEP_AMX void multiply_panels_of_few_rows(const Product<float>& p, std::int64_t begin,
                                             std::int64_t end, const Workspace& workspace) {
  alignas(64) float sums[few_rows * tile_block];
  const std::int64_t bytes = p.in * tile_block * static_cast<std::int64_t>(sizeof(float));
  const bool gated = p.epilogue == Epilogue::swiglu;
  for (std::int64_t panel = begin; panel < end; ++panel) {
    const std::byte* const stored = p.matrix + panel * bytes;
    const std::byte* const next = p.matrix + std::min(panel + 1, end - 1) * bytes;
    const std::byte* const up = stored + p.out / tile_block * bytes;
    if (gated) multiply_few_rows(p.x, p.rows, p.in, stored, up, workspace.gate_sums);
    multiply_few_rows(p.x, p.rows, p.in, gated ? up : stored, next, sums);
    apply_epilogue(p, sums, workspace.gate_sums, 0, p.rows, panel * tile_block, workspace.lanes);
  }
}

template <class T>
Product<T> product_of(const at::Tensor& x, const Matrix& m, Epilogue epilogue) {
  RVSWEEP_EXPECT(has_amx() && m.format == MatrixFormat::amx_tiles,
                 "tiles need a processor with AMX");
  const auto out = m.out / (epilogue == Epilogue::swiglu ? 2 : 1);
  RVSWEEP_EXPECT(x.size(-1) == m.in && out % tile_block == 0, "a product's sizes must agree");
  return {static_cast<const T*>(x.const_data_ptr()),
          static_cast<const std::byte*>(m.data.const_data_ptr()),
          m.bias.defined() ? static_cast<const T*>(m.bias.const_data_ptr()) : nullptr,
          x.numel() / m.in,
          m.in,
          out,
          epilogue,
          nullptr};
}

/// Every panel of a product. lanes [threads, rows] of argmax: each thread has its own.
template <class T>
void multiply_all(const Product<T>& p, bool split, ArgMaxLanes* lanes = nullptr) {
  const auto at_once = rows_at_once(p.rows, p.in, parts_of<T>);
  const auto x_elements = at_once * p.in * parts_of<T>;
  const auto panel_elements = split ? 2 * 3 * tile_block * p.in : 0;
  const auto sum_elements =
      p.epilogue == Epilogue::swiglu ? 2 * at_once * tile_block : 0;  // of 4 bytes
  at::parallel_for(0, p.out / tile_block, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor memory = at::empty({x_elements + panel_elements + sum_elements}, at::kShort);
    auto* const x_tiles = static_cast<std::uint16_t*>(memory.data_ptr());
    std::uint16_t* const parts = x_tiles + x_elements;
    const Workspace workspace{x_tiles, parts, reinterpret_cast<float*>(parts + panel_elements),
                              lanes == nullptr ? nullptr : lanes + at::get_thread_num() * p.rows};
    if constexpr (sizeof(T) == sizeof(float)) {
      if (split && p.rows <= few_rows) return multiply_panels_of_few_rows(p, begin, end, workspace);
      if (split) return multiply_panels<T, 3>(p, begin, end, workspace);
    }
    multiply_panels<T, 1>(p, begin, end, workspace);
  });
}

template <class T>
void multiply_into(const at::Tensor& x, const Matrix& m, Epilogue epilogue,
                   const at::Tensor& result) {
  const at::Tensor flat = x.contiguous();
  Product<T> product = product_of<T>(flat, m, epilogue);
  RVSWEEP_EXPECT(result.is_contiguous() && result.numel() == product.rows * product.out,
                 "the result must have an element for every sum");
  product.result = static_cast<T*>(result.data_ptr());
  multiply_all(product, m.data.scalar_type() == at::kFloat);
}

template <class T>
ArgMax argmax_of(const at::Tensor& x, const Matrix& m) {
  const at::Tensor flat = x.contiguous();
  const Product<T> product = product_of<T>(flat, m, Epilogue::argmax);
  const auto threads = at::get_num_threads();
  std::vector<ArgMaxLanes> lanes(static_cast<std::size_t>(threads * product.rows));
  multiply_all(product, m.data.scalar_type() == at::kFloat, lanes.data());
  const ArgMax found{at::empty({product.rows}, at::kLong), at::empty({product.rows}, at::kBool)};
  for (std::int64_t row = 0; row < product.rows; ++row) {
    float largest = -std::numeric_limits<float>::infinity(), nonfinite = 0;
    std::int32_t token = 0;
    for (int thread = 0; thread < threads; ++thread) {
      const ArgMaxLanes& of_row = lanes[static_cast<std::size_t>(thread * product.rows + row)];
      for (int lane = 0; lane < 16; ++lane) {
        nonfinite += of_row.nonfinite[lane];
        const bool first = of_row.largest[lane] == largest && of_row.output[lane] < token;
        if (!first && !(of_row.largest[lane] > largest)) continue;
        largest = of_row.largest[lane];
        token = of_row.output[lane];
      }
    }
    found.token.data_ptr<std::int64_t>()[row] = token;
    found.finite.data_ptr<bool>()[row] = nonfinite == 0;
  }
  return found;
}

/// Whether x is float32; ContractError where the matrix' dtype does not go with it.
bool is_float(const at::Tensor& x, const Matrix& m) {
  const bool is_float = x.scalar_type() == at::kFloat;
  RVSWEEP_EXPECT(
      is_float || (x.scalar_type() == at::kBFloat16 && m.data.scalar_type() == at::kBFloat16),
      "float32 matrices are for float32 activations");
  return is_float;
}

void multiply_by_dtype(const at::Tensor& x, const Matrix& m, Epilogue epilogue,
                       const at::Tensor& result) {
  if (is_float(x, m))
    multiply_into<float>(x, m, epilogue, result);
  else
    multiply_into<std::uint16_t>(x, m, epilogue, result);
}

/// With `out` elements a row.
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

namespace amx {

at::Tensor product(const at::Tensor& x, const Matrix& matrix) {
  const at::Tensor result = empty_result(x, matrix.out);
  multiply_by_dtype(x, matrix, Epilogue::store, result);
  return result;
}

at::Tensor swiglu_product(const at::Tensor& x, const Matrix& gate_up) {
  const at::Tensor result = empty_result(x, gate_up.out / 2);
  multiply_by_dtype(x, gate_up, Epilogue::swiglu, result);
  return result;
}

void add_product(const at::Tensor& x, const Matrix& matrix, const at::Tensor& sum) {
  multiply_by_dtype(x, matrix, Epilogue::accumulate, sum);
}

ArgMax argmax_product(const at::Tensor& x, const Matrix& head) {
  return is_float(x, head) ? argmax_of<float>(x, head) : argmax_of<std::uint16_t>(x, head);
}

}  // namespace amx
#else
bool has_amx() { return false; }

namespace amx {

at::Tensor product(const at::Tensor&, const Matrix&) { RVSWEEP_NOT_BUILT("AMX"); }
at::Tensor swiglu_product(const at::Tensor&, const Matrix&) { RVSWEEP_NOT_BUILT("AMX"); }
void add_product(const at::Tensor&, const Matrix&, const at::Tensor&) { RVSWEEP_NOT_BUILT("AMX"); }
ArgMax argmax_product(const at::Tensor&, const Matrix&) { RVSWEEP_NOT_BUILT("AMX"); }

}  // namespace amx
#endif

}  // namespace rvsweep
