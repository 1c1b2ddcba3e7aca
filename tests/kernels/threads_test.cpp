// Our own loops give the same bits on any number of threads.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "kernels/tables.hpp"

namespace rvsweep {
namespace {

/// What every entry of a table makes of the same operands, 100 rows of them.
std::vector<at::Tensor> results(const testing::Table& table) {
  at::manual_seed(5);
  const Operations& ops = *table.operations;
  const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(table.dtype); };
  const at::Tensor q = random({100, 1, 6, 64}), x = random({100, 64}), qkv = random({50, 2, 7, 64});
  const CacheCells cells{random({100, 2, 40, 64}), random({100, 2, 40, 64})};
  const Visibility seen{40, std::vector<RowVisibility>(100)};
  const AttentionBias bias = ops.attention_bias(seen, {39, 1}, 3, {at::kCPU, table.dtype});
  const CacheCells written{at::zeros({50, 2, 3, 64}, x.options()),
                           at::zeros({50, 2, 3, 64}, x.options())};
  const at::Tensor angles = at::arange(100 * 32).view({50, 2, 32}) * 1e-3;
  ops.rotate_and_write(qkv, {angles.cos(), angles.sin()}, written);
  std::vector<at::Tensor> found{ops.attention(q, cells, bias, {0.1}),
                                ops.attention(q, cells, bias, {0.1, 2.0}),
                                ops.norm(x, {.weight = random({64})}),
                                ops.norm(x, {NormKind::layer, 1e-5, random({64}), random({64})}),
                                ops.argmax(x),
                                ops.finite_rows(x),
                                qkv,
                                written.keys,
                                written.values};
  const auto matrix = testing::stored(at::randn({320, 64}).to(table.matrix_dtype), table.format);
  for (const std::int64_t rows : {8, 100}) {
    const at::Tensor some = x.narrow(0, 0, rows), sum = random({rows, 320});
    ops.add_product(some, matrix.matrix, sum);
    const auto [token, finite] = ops.argmax_product(some, matrix.matrix);
    found.insert(
        found.end(),
        {ops.product(some, matrix.matrix), ops.activated_product(some, matrix.matrix, {}),
         ops.activated_product(some, matrix.matrix, {Activation::gelu}), sum, token, finite});
  }
  return found;
}

TEST(Threads, BitsDoNotDependOnTheirNumber) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer does not know libgomp's barriers";
#endif
  const int usual = at::get_num_threads();
  for (const testing::Table& table : testing::tables()) {
    if (table.operations == &aten_operations()) continue;  // promised of our own loops
    at::set_num_threads(1);
    const auto alone = results(table);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const auto shared = results(table);
      for (std::size_t i = 0; i < alone.size(); ++i)
        EXPECT_TRUE(at::equal(alone[i], shared[i])) << table.name << " " << threads << " " << i;
    }
  }
  at::set_num_threads(usual);
}

}  // namespace
}  // namespace rvsweep
