#include "kernels/cpu/decode_attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

namespace rvsweep {
namespace {

struct Case {
  std::int64_t rows, heads, kv_heads, columns, head_dim;
};

/// Queries, and keys and values that are the first columns of a larger cache.
struct Inputs {
  explicit Inputs(const Case& c, at::ScalarType dtype) {
    at::manual_seed(3);
    q = at::randn({c.rows, c.heads, c.head_dim}).to(dtype);
    const std::vector<std::int64_t> cache{c.rows, c.kv_heads, c.columns + 5, c.head_dim};
    keys = at::randn(cache).to(dtype).narrow(2, 0, c.columns);
    values = at::randn(cache).to(dtype).narrow(2, 0, c.columns);
    bias = at::zeros({c.rows, c.columns + 3}).narrow(1, 0, c.columns);
    // Padding of another length in every row, and cells that count several times.
    for (std::int64_t r = 0; r < c.rows; ++r)
      bias[r].narrow(0, 0, r % c.columns).fill_(-std::numeric_limits<float>::infinity());
    bias.narrow(1, c.columns - 1, 1).fill_(1.5);
  }
  at::Tensor q, keys, values, bias;
};

/// The definition, in float64.
at::Tensor expected(const Inputs& in, double scale) {
  const auto group = in.q.size(1) / in.keys.size(1);
  const at::Tensor keys = in.keys.to(at::kDouble).repeat_interleave(group, 1);
  const at::Tensor values = in.values.to(at::kDouble).repeat_interleave(group, 1);
  const at::Tensor q = in.q.to(at::kDouble).unsqueeze(2);
  const at::Tensor scores = at::matmul(q, keys.transpose(2, 3)) * scale +
                            in.bias.to(at::kDouble).unsqueeze(1).unsqueeze(1);
  return at::matmul(scores.softmax(-1), values).squeeze(2);
}

const Case cases[] = {{5, 9, 3, 17, 64}, {3, 8, 2, 40, 128}, {4, 4, 4, 9, 12},  {2, 6, 1, 300, 64},
                      {3, 2, 2, 21, 64}, {2, 4, 2, 5, 64},   {2, 7, 1, 33, 128}};

TEST(DecodeAttention, IsTheSoftmaxOfScoresTimesValues) {
  for (const Case& c : cases)
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const Inputs in(c, dtype);
      const double scale = 0.3;
      const at::Tensor z = decode_attention(in.q, in.keys, in.values, in.bias, scale);
      EXPECT_EQ(z.scalar_type(), dtype);
      const at::Tensor error = (z.to(at::kDouble) - expected(in, scale)).abs();
      EXPECT_LT(error.max().item<double>(), dtype == at::kFloat ? 1e-5 : 2e-2);
    }
}

TEST(DecodeAttention, ARowsBitsDependOnNothingButItself) {
  for (const Case& c : cases) {
    const Inputs in(c, at::kFloat);
    const at::Tensor all = decode_attention(in.q, in.keys, in.values, in.bias, 0.3);
    for (std::int64_t r = 0; r < c.rows; ++r) {
      const at::Tensor alone =
          decode_attention(in.q.narrow(0, r, 1), in.keys.narrow(0, r, 1), in.values.narrow(0, r, 1),
                           in.bias.narrow(0, r, 1), 0.3);
      EXPECT_TRUE(at::equal(alone[0], all[r]));
    }
  }
}

}  // namespace
}  // namespace rvsweep
