// Our own loops give the same bits on any number of threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/cpu/amx/in_tiles.hpp"
#include "kernels/cpu/decode_attention.hpp"
#include "kernels/cpu/rms_norm.hpp"
#include "kernels/cpu/swiglu.hpp"
#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/rotary.hpp"

namespace rvsweep {
namespace {

/// What every loop makes of the same numbers, 100 rows of them.
std::vector<at::Tensor> results(at::ScalarType dtype) {
  at::manual_seed(5);
  const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(dtype); };
  const at::Tensor q = random({100, 6, 64}), keys = random({100, 2, 40, 64}),
                   values = random({100, 2, 40, 64}), x = random({100, 64}), weight = random({64}),
                   heads = random({50, 2, 3, 64}), matrix = random({320, 64});
  std::vector<at::Tensor> found{decode_attention(q, keys, values, at::zeros({100, 40}), 0.1),
                                rms_norm(x, weight, 1e-5), swiglu(x), largest_logits(x),
                                finite_rows(x)};
  const at::Tensor cells = at::zeros({50, 3, 2, 64}, heads.options());
  write_cells(heads, cells);
  const at::Tensor angles = at::arange(100 * 32).view({50, 2, 32}) * 1e-3;
  rotate_heads(heads, {angles.cos(), angles.sin()});
  found.insert(found.end(), {cells, heads});
  if (!has_amx()) return found;
  const at::Tensor tiles = testing::in_tiles(matrix);
  for (const std::int64_t rows : {8, 100}) {
    const at::Tensor some = x.narrow(0, 0, rows), sum = random({rows, 320});
    amx_add_product(some, tiles, {}, sum);
    const LargestLogits largest = amx_largest(some, tiles);
    found.insert(found.end(), {amx_product(some, tiles), amx_gated_product(some, tiles), sum,
                               largest.place, largest.finite});
  }
  return found;
}

TEST(Threads, BitsDoNotDependOnTheirNumber) {
  const int usual = at::get_num_threads();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::set_num_threads(1);
    const auto alone = results(dtype);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const auto shared = results(dtype);
      for (std::size_t i = 0; i < alone.size(); ++i)
        EXPECT_TRUE(at::equal(alone[i], shared[i])) << dtype << " " << threads << " " << i;
    }
  }
  at::set_num_threads(usual);
}

}  // namespace
}  // namespace rvsweep
