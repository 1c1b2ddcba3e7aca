// Every entry of every table against its definition in float64.
#include "rvsweep/kernels/operations.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "kernels/tables.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {

using testing::StoredMatrix;
using testing::Table;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double eps = 1e-5;

/// Largest |x - exact|, as a share of `floor` + |exact|.
double error_of(const at::Tensor& x, const at::Tensor& exact, double floor = 1e-3) {
  const at::Tensor difference = (x.to(at::kDouble) - exact).abs();
  return (difference / (exact.abs() + floor)).max().item<double>();
}

at::Tensor random(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::randn(shape).to(dtype);
}

class NormOf : public testing::EveryTable {
 protected:
  static constexpr NormKind kinds[] = {NormKind::rms, NormKind::rms_float, NormKind::rms_plus_one,
                                       NormKind::layer};
  Norm random_norm(NormKind kind, std::int64_t width) const {
    return {kind, eps, random({width}, dtype), random({width}, dtype)};
  }
};

/// The norms of Hugging Face's Llama, OLMo-2, Gemma and GPT-2, the sums in float64.
at::Tensor exact_norm(const at::Tensor& x, const Norm& norm) {
  const at::Tensor weight = norm.weight.to(at::kDouble);
  at::Tensor exact = x.to(at::kDouble);
  if (norm.kind == NormKind::layer) exact = exact - exact.mean(-1, /*keepdim=*/true);
  const at::Tensor scale = ((exact * exact).mean(-1, /*keepdim=*/true) + norm.eps).rsqrt();
  if (norm.kind == NormKind::rms)
    return ((exact * scale).to(x.scalar_type()) * norm.weight).to(at::kDouble);
  if (norm.kind == NormKind::layer) return exact * scale * weight + norm.bias.to(at::kDouble);
  return exact * scale * (norm.kind == NormKind::rms_plus_one ? 1 + weight : weight);
}

TEST_P(NormOf, IsHuggingFaces) {
  at::manual_seed(4);
  for (const NormKind kind : kinds)
    for (const std::int64_t hidden : {24, 64, 576, 4096}) {
      const at::Tensor x = (at::randn({3, 5, hidden}) * 20).to(dtype);
      const Norm norm = random_norm(kind, hidden);
      const at::Tensor normed = ops.norm(x, norm), correct = exact_norm(x, norm);
      EXPECT_EQ(normed.scalar_type(), dtype);
      EXPECT_EQ(normed.sizes(), x.sizes());
      EXPECT_LE(error_of(normed, correct, 0.1), 4 * GetParam().unit());
      // In 16 bits only what lies between two elements may round otherwise.
      const double differing = (normed != correct.to(dtype)).to(at::kDouble).mean().item<double>();
      EXPECT_TRUE(dtype == at::kFloat || differing < 0.01) << differing;
    }
}

TEST_P(NormOf, ARowsBitsDependOnNothingButItself) {
  const at::Tensor x = random({40, 1, 60}, dtype);
  for (const NormKind kind : kinds) {
    const Norm norm = random_norm(kind, 60);
    const at::Tensor all = ops.norm(x, norm);
    for (std::int64_t row = 0; row < x.size(0); ++row)
      EXPECT_TRUE(at::equal(ops.norm(x.narrow(0, row, 1), norm), all.narrow(0, row, 1)));
  }
}

TEST_P(NormOf, NanStaysInItsRow) {
  at::Tensor x = random({2, 33}, dtype);
  x[1][7] = std::numeric_limits<float>::quiet_NaN();
  for (const NormKind kind : kinds) {
    const at::Tensor normed = ops.norm(x, random_norm(kind, 33));
    EXPECT_TRUE(normed[0].isfinite().all().item<bool>());
    EXPECT_TRUE(normed[1].isnan().all().item<bool>());
  }
}

class RotateAndWrite : public testing::EveryTable {};

TEST_P(RotateAndWrite, TurnsQueriesAndKeysAndFillsTheLastColumns) {
  const std::int64_t B = 20, T = 3, nh = 4, nkv = 2, hd = 12, C = 9;
  const at::Tensor qkv = random({B, T, nh + 2 * nkv, hd}, dtype), before = qkv.to(at::kDouble);
  const at::Tensor angle = at::arange(B * T * hd / 2).view({B, T, hd / 2}).to(at::kDouble) * 0.01;
  const CacheCells cells{at::zeros({B, nkv, C, hd}, qkv.options()),
                         at::zeros({B, nkv, C, hd}, qkv.options())};
  ops.rotate_and_write(qkv, {angle.cos().to(at::kFloat), angle.sin().to(at::kFloat)}, cells);
  const at::Tensor cos = angle.cos().unsqueeze(2), sin = angle.sin().unsqueeze(2);
  const at::Tensor a = before.narrow(3, 0, hd / 2), b = before.narrow(3, hd / 2, hd / 2);
  const at::Tensor turned = at::cat({a * cos - b * sin, b * cos + a * sin}, 3);
  EXPECT_LT(error_of(qkv.narrow(2, 0, nh + nkv), turned.narrow(2, 0, nh + nkv), 1),
            3 * GetParam().unit());
  const auto written = [&](const at::Tensor& x) { return x.narrow(2, C - T, T).transpose(1, 2); };
  EXPECT_TRUE(at::equal(written(cells.keys), qkv.narrow(2, nh, nkv)));
  EXPECT_TRUE(at::equal(written(cells.values).to(at::kDouble), before.narrow(2, nh + nkv, nkv)));
  for (const at::Tensor& x : {cells.keys, cells.values})
    EXPECT_EQ(x.narrow(2, 0, C - T).abs().max().item<double>(), 0.0);
}

TEST_P(RotateAndWrite, RoundsOnceInFloat32) {
  const std::int64_t B = 4, T = 5, nh = 2, nkv = 1, hd = 32;
  const at::Tensor qkv = random({B, T, nh + 2 * nkv, hd}, dtype);
  const at::Tensor before = qkv.clone().to(at::kFloat);
  const at::Tensor angle = at::arange(B * T * hd / 2).view({B, T, hd / 2}).to(at::kFloat) * 0.01;
  const CacheCells cells{at::zeros({B, nkv, T, hd}, qkv.options()),
                         at::zeros({B, nkv, T, hd}, qkv.options())};
  ops.rotate_and_write(qkv, {angle.cos(), angle.sin(), /*in_float32=*/true}, cells);
  const at::Tensor turned = rotate(before, {angle.cos().unsqueeze(2), angle.sin().unsqueeze(2)});
  const at::Tensor exact = turned.narrow(2, 0, nh + nkv), x = qkv.narrow(2, 0, nh + nkv);
  // Half a last place; beside it what a fused operation leaves where the two products cancel.
  const double half = dtype == at::kFloat ? 0 : GetParam().unit() / 2;
  EXPECT_LE(error_of(x, exact.to(at::kDouble)), 1.01 * half + 1e-3);
}

TEST_P(RotateAndWrite, LeavesTheElementsBeyondTheRotation) {
  const std::int64_t B = 3, T = 2, nh = 2, nkv = 1, hd = 12;
  for (const std::int64_t half : {0, 2}) {
    const at::Tensor qkv = random({B, T, nh + 2 * nkv, hd}, dtype), before = qkv.clone();
    const at::Tensor angle = at::arange(B * T * half).view({B, T, half}).to(at::kFloat) * 0.1 + 1;
    const CacheCells cells{at::zeros({B, nkv, T, hd}, qkv.options()),
                           at::zeros({B, nkv, T, hd}, qkv.options())};
    ops.rotate_and_write(qkv, {angle.cos(), angle.sin()}, cells);
    const auto rest = [&](const at::Tensor& x) { return x.narrow(3, 2 * half, hd - 2 * half); };
    EXPECT_TRUE(at::equal(rest(qkv), rest(before)));
    const at::Tensor first = qkv.narrow(3, 0, 2 * half), was = before.narrow(3, 0, 2 * half);
    EXPECT_EQ(half == 0, at::equal(first, was));
  }
}

class Attention : public testing::EveryTable {};

struct Shape {
  std::int64_t rows, heads, kv_heads, columns, head_dim, queries;
};
const Shape shapes[] = {{5, 9, 3, 17, 64, 1},  {3, 8, 2, 40, 128, 1}, {4, 4, 4, 9, 12, 1},
                        {2, 6, 1, 300, 64, 1}, {3, 2, 2, 21, 64, 1},  {2, 4, 2, 5, 64, 1},
                        {2, 7, 1, 33, 128, 1}, {6, 4, 2, 13, 12, 5},  {3, 9, 3, 20, 64, 20}};
constexpr Scores scale{0.3};

/// Queries, cells that are the first columns of a larger cache, and rows that see differently.
struct AttentionInputs {
  AttentionInputs(const Shape& s, at::ScalarType dtype)
      : queries{s.columns - s.queries, s.queries} {
    at::manual_seed(3);
    q = random({s.rows, s.queries, s.heads, s.head_dim}, dtype);
    const std::vector<std::int64_t> cache{s.rows, s.kv_heads, s.columns + 5, s.head_dim};
    cells = {random(cache, dtype).narrow(2, 0, s.columns),
             random(cache, dtype).narrow(2, 0, s.columns)};
    seen.fed = std::max<std::int64_t>(queries.column - 2, 0);
    for (std::int64_t r = 0; r < s.rows; ++r)
      seen.rows.push_back({.first = static_cast<std::int32_t>(r % (s.columns - 1)),
                           .frozen = r % 3 == 1,
                           .compound = r % 3 == 2});
  }
  at::Tensor run(const Operations& ops, const Scores& how = scale) const {
    const auto group = q.size(2) / cells.keys.size(1);
    const Placement placement{at::kCPU, q.scalar_type()};
    return ops.attention(q, cells, ops.attention_bias(seen, queries, group, placement), how);
  }
  AttentionInputs row(std::int64_t r) const {
    AttentionInputs one = *this;
    one.q = q.narrow(0, r, 1);
    one.cells = {cells.keys.narrow(0, r, 1), cells.values.narrow(0, r, 1)};
    one.seen.rows = {seen.rows[static_cast<std::size_t>(r)]};
    return one;
  }
  QueryColumns queries;
  at::Tensor q;
  CacheCells cells;
  Visibility seen;
};

/// The cells that the query in column p sees, as concatenation has them: its own is the last.
std::vector<std::int64_t> cells_seen(const Visibility& seen, const RowVisibility& row,
                                     std::int64_t p) {
  std::vector<std::int64_t> cells;
  const auto fed = std::min(seen.fed, p);
  for (auto copies = row.compound ? p - seen.fed + 1 : 1; copies > 0; --copies)
    for (std::int64_t c = row.first; c < fed; ++c) cells.push_back(c);
  for (auto c = std::max<std::int64_t>(row.first, fed); c < p && !row.frozen; ++c)
    cells.push_back(c);
  cells.push_back(p);
  if (seen.window > 0 && seen.window < std::ssize(cells))
    cells.erase(cells.begin(), cells.end() - seen.window);
  return cells;
}

at::Tensor exact_scores(const at::Tensor& products, const Scores& how) {
  const at::Tensor scores = products * how.scale;
  return how.soft_cap > 0 ? (scores / how.soft_cap).tanh() * how.soft_cap : scores;
}

/// The definition, cell by cell: weights in proportion to times * e^(scale q k).
at::Tensor exact_attention(const AttentionInputs& in, const Scores& how = scale) {
  const auto group = in.q.size(2) / in.cells.keys.size(1);
  const at::Tensor keys = in.cells.keys.to(at::kDouble).repeat_interleave(group, 1);
  const at::Tensor values = in.cells.values.to(at::kDouble).repeat_interleave(group, 1);
  const at::Tensor q = in.q.to(at::kDouble).transpose(1, 2);  // [B, nh, T, hd]
  at::Tensor times = at::zeros({in.q.size(0), 1, in.q.size(1), keys.size(2)}, at::kDouble);
  for (std::int64_t r = 0; r < times.size(0); ++r)
    for (std::int64_t t = 0; t < times.size(2); ++t)
      for (const std::int64_t c :
           cells_seen(in.seen, in.seen.rows[static_cast<std::size_t>(r)], in.queries.column + t))
        times[r][0][t][c] += 1;
  const at::Tensor weights = exact_scores(at::matmul(q, keys.transpose(2, 3)), how).exp() * times;
  return at::matmul(weights / weights.sum(-1, true), values).transpose(1, 2);
}

TEST_P(Attention, IsTheSoftmaxOfScoresTimesValues) {
  for (const Shape& shape : shapes) {
    const AttentionInputs in(shape, dtype);
    const at::Tensor z = in.run(ops);
    EXPECT_EQ(z.scalar_type(), dtype);
    EXPECT_EQ(z.sizes(), in.q.sizes());
    const at::Tensor error = (z.to(at::kDouble) - exact_attention(in)).abs();
    EXPECT_LT(error.max().item<double>(), dtype == at::kFloat ? 1e-5 : 2.5 * GetParam().unit());
  }
}

TEST_P(Attention, ASoftCapBoundsScoresBeforeTheyAreMasked) {
  const Scores capped{0.3, 2.0};
  for (const Shape& shape : shapes) {
    const AttentionInputs in(shape, dtype);
    const at::Tensor error = in.run(ops, capped).to(at::kDouble) - exact_attention(in, capped);
    EXPECT_LT(error.abs().max().item<double>(),
              dtype == at::kFloat ? 1e-5 : 2.5 * GetParam().unit());
  }
}

TEST_P(Attention, ARowsBitsDependOnNothingButItself) {
  for (const Shape& shape : shapes) {
    const AttentionInputs in(shape, dtype);
    const at::Tensor all = in.run(ops);
    if (ops.attention == aten_operations().attention) continue;  // promised of our own loops
    if (shape.queries > 1) continue;                             // of decoding
    for (std::int64_t r = 0; r < shape.rows; ++r)
      EXPECT_TRUE(at::equal(in.row(r).run(ops)[0], all[r]));
  }
}

TEST_P(Attention, AWindowShowsTheLastCells) {
  for (const Shape& shape : shapes)
    for (const std::int64_t window : {1, 2, 5, 14, 40}) {
      AttentionInputs in(shape, dtype);
      in.seen.window = window;
      for (const Scores& how : {scale, Scores{0.3, 2.0}}) {
        const at::Tensor error = in.run(ops, how).to(at::kDouble) - exact_attention(in, how);
        EXPECT_LT(error.abs().max().item<double>(),
                  dtype == at::kFloat ? 1e-5 : 2.5 * GetParam().unit())
            << window;
      }
    }
}

/// By blocks of queries, of which the longest prompt has three.
TEST_P(Attention, AWindowOfACausalPromptNeedsNoMaskOfIt) {
  for (const auto& [length, window] : {std::pair{33, 1}, {33, 32}, {130, 40}, {1100, 513}})
    for (const Scores& how : {scale, Scores{0.3, 2.0}}) {
      AttentionInputs in({1, 2, 1, length, 16, length}, dtype);
      in.seen = {.window = window};
      EXPECT_FALSE(ops.attention_bias(in.seen, in.queries, 2, {at::kCPU, dtype}).mask.defined());
      const at::Tensor z = in.run(ops, how).to(at::kDouble);
      in.seen.rows.resize(1);
      EXPECT_LT((z - exact_attention(in, how)).abs().max().item<double>(),
                dtype == at::kFloat ? 1e-5 : 2.5 * GetParam().unit())
          << length << " " << window;
    }
}

/// Rows without padding are seen without a mask, by the definition with every first cell 0.
TEST_P(Attention, CausalIsTheSameWithoutAMask) {
  for (const Shape& shape :
       {Shape{1, 9, 3, 130, 64, 130}, Shape{2, 4, 2, 40, 16, 40}, Shape{1, 4, 1, 33, 12, 33}}) {
    AttentionInputs in(shape, dtype);
    in.seen = {};
    const at::Tensor z = in.run(ops);
    EXPECT_EQ(z.sizes(), in.q.sizes());
    in.seen.rows.resize(static_cast<std::size_t>(shape.rows));
    const at::Tensor error = (z.to(at::kDouble) - exact_attention(in)).abs();
    EXPECT_LT(error.max().item<double>(), dtype == at::kFloat ? 1e-5 : 2.5 * GetParam().unit());
  }
}

/// A prompt cell worth 1 counts as often as there are fed cells worth -1, all with equal scores:
/// they cancel, and nothing hides an error of ln n.
TEST_P(Attention, CompoundGrowthIsExactHoweverLarge) {
  for (const std::int64_t head_dim : {12, 16})
    for (const std::int64_t queries : {1, 3})
      for (std::int64_t n = 1; n < 400; n += 37) {
        AttentionInputs in({2, 4, 2, n + queries, head_dim, queries}, dtype);
        in.q.zero_();
        in.cells.values.fill_(-1).narrow(2, 0, 1).fill_(1);
        in.seen = {.fed = 1, .rows = {{.compound = true}, {}}};
        const double most = dtype == at::kFloat ? 4e-6 : GetParam().unit() / 2;
        EXPECT_LE(in.run(ops)[0].abs().max().item<double>(), most) << n;
      }
}

TEST_P(Attention, ARowsBitsDoNotDependOnTheGrowthOfOthers) {
  for (const Shape& shape : shapes) {
    AttentionInputs in(shape, dtype);
    for (const bool compound : {false, true}) {
      in.seen.rows[0].compound = compound;
      for (RowVisibility& row : std::span(in.seen.rows).subspan(1)) row.compound = false;
      const at::Tensor alone = in.run(ops)[0];
      for (RowVisibility& row : std::span(in.seen.rows).subspan(1)) row.compound = true;
      EXPECT_TRUE(at::equal(in.run(ops)[0], alone));
    }
  }
}

/// What the fused kernels of a GPU ask of a mask, which a CPU would not refuse.
TEST(AtenAttention, MasksHaveTheDtypeOfQueriesAlignedRowsAndOneHead) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const Shape& shape : shapes) {
      const AttentionInputs in(shape, dtype);
      const Operations& ops = aten_operations();
      const at::Tensor mask =
          ops.attention_bias(in.seen, in.queries, shape.heads / shape.kv_heads, {at::kCPU, dtype})
              .mask;
      EXPECT_EQ(mask.scalar_type(), dtype);
      EXPECT_EQ(mask.sizes(), at::IntArrayRef({shape.rows, 1, shape.queries, shape.columns}));
      EXPECT_EQ(mask.stride(3), 1);
      for (const std::int64_t dim : {0, 1, 2}) EXPECT_EQ(mask.stride(dim) % 8, 0);
    }
}

TEST(AtenAttention, AMaskOfAnotherDtypeIsADefect) {
  const AttentionInputs in(shapes[0], at::kBFloat16);
  const Operations& ops = aten_operations();
  const AttentionBias bias = ops.attention_bias(in.seen, in.queries, 3, {at::kCPU, at::kFloat});
  EXPECT_THROW(ops.attention(in.q, in.cells, bias, scale), ContractError);
}

class Product : public testing::EveryTable {
 protected:
  /// `out` rows of `in` elements, both whole tiles.
  StoredMatrix random_matrix(std::int64_t out, std::int64_t in, bool with_bias = true) {
    rows = random({out, in}, GetParam().matrix_dtype);
    return testing::stored(rows, GetParam().format,
                           with_bias ? random({out}, dtype) : at::Tensor());
  }
  at::Tensor exact(const at::Tensor& x, const Matrix& matrix) const {
    const at::Tensor bias = matrix.bias.defined() ? matrix.bias.to(at::kDouble) : matrix.bias;
    return at::linear(x.to(at::kDouble), rows.to(at::kDouble), bias);
  }
  at::Tensor rows;  // of the last random_matrix, [out, in]
};

TEST_P(Product, IsXTimesTheTransposePlusBias) {
  at::manual_seed(6);
  for (const std::int64_t n : {1, 5, 17, 300})
    for (const bool with_bias : {true, false}) {
      const StoredMatrix m = random_matrix(96, 64, with_bias);
      const at::Tensor x = random({n, 64}, dtype), y = ops.product(x, m.matrix);
      EXPECT_EQ(y.scalar_type(), dtype);
      EXPECT_LT(error_of(y, exact(x, m.matrix), 1), 5 * GetParam().unit()) << n;
    }
}

TEST_P(Product, AddedHasTheBitsOfAnAdditionAfterIt) {
  for (const std::int64_t n : {1, 17, 300}) {
    const StoredMatrix m = random_matrix(160, 96);
    const at::Tensor x = random({n, 96}, dtype), sum = random({n, 160}, dtype);
    const at::Tensor expected = sum + ops.product(x, m.matrix);
    ops.add_product(x, m.matrix, sum);
    EXPECT_TRUE(at::equal(sum, expected)) << n;
  }
}

/// Of the rounded product, the activation rounded before it is multiplied.
at::Tensor exact_activation(const at::Tensor& y, const Mlp& mlp, at::ScalarType dtype) {
  const at::Tensor exact = y.to(at::kDouble), x = mlp.gated ? exact.chunk(2, -1)[0] : exact;
  const at::Tensor cubic = (x + 0.044715 * x.pow(3)) * std::sqrt(2 / std::acos(-1));
  const at::Tensor activated = mlp.activation == Activation::silu ? at::silu(x)
                               : mlp.activation == Activation::gelu
                                   ? x * (1 + (x / std::sqrt(2)).erf()) / 2
                                   : x * (1 + cubic.tanh()) / 2;
  return mlp.gated ? activated.to(dtype).to(at::kDouble) * exact.chunk(2, -1)[1] : activated;
}

TEST_P(Product, IsActivated) {
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh})
    for (const bool gated : {true, false})
      for (const std::int64_t n : {1, 17, 300}) {
        const Mlp mlp{activation, gated};
        const StoredMatrix m = random_matrix(2 * 96, 64);
        const at::Tensor x = random({n, 64}, dtype) * 0.2, y = ops.product(x, m.matrix);
        const at::Tensor activated = ops.activated_product(x, m.matrix, mlp);
        EXPECT_EQ(activated.scalar_type(), dtype);
        EXPECT_LT(error_of(activated, exact_activation(y, mlp, dtype), 1), 2.5 * GetParam().unit());
      }
}

TEST_P(Product, SwigluIsSiluOfGateTimesUp) {
  for (const std::int64_t n : {1, 17, 40, 600}) {
    const StoredMatrix m = random_matrix(2 * 96, 64, false);
    const at::Tensor x = random({n, 64}, dtype), gated = ops.activated_product(x, m.matrix, {});
    const auto halves = ops.product(x, m.matrix).to(at::kDouble).chunk(2, -1);
    const at::Tensor silu = at::silu(halves[0]).to(dtype).to(at::kDouble);
    EXPECT_LT(error_of(gated, silu * halves[1], 1e-3), 2.5 * GetParam().unit()) << n;
  }
}

TEST_P(Product, ArgmaxIsThatOfTheProduct) {
  for (const std::int64_t n : {1, 17, 300}) {
    rows = random({1600, 96}, GetParam().matrix_dtype);
    rows.narrow(0, 900, 700).copy_(rows.narrow(0, 0, 700).clone());  // equals
    const StoredMatrix m = testing::stored(rows, GetParam().format);
    const at::Tensor x = random({n, 96}, dtype);
    if (n > 1) {
      x[n / 2][5] = std::numeric_limits<double>::quiet_NaN();
      x[n - 2][5] = infinity;
    }
    const at::Tensor logits = ops.product(x, m.matrix);
    const auto [token, finite] = ops.argmax_product(x, m.matrix);
    EXPECT_TRUE(at::equal(finite, logits.isfinite().all(-1)));
    EXPECT_EQ(finite.sum().item<std::int64_t>(), n > 1 ? n - 2 : 1);
    EXPECT_TRUE(at::equal(token.masked_select(finite), logits.argmax(-1).masked_select(finite)));
    EXPECT_TRUE((token >= 0).logical_and(token < 1600).all().item<bool>());
  }
}

class Logits : public testing::EveryTable {};

TEST_P(Logits, TheLargestIsArgmax) {
  for (const std::int64_t vocab : {1, 7, 1024, 1025, 49152}) {
    const at::Tensor logits = random({9, vocab}, dtype), some = logits.narrow(0, 2, 3);
    EXPECT_TRUE(at::equal(ops.argmax(logits), logits.argmax(-1)));
    EXPECT_TRUE(at::equal(ops.argmax(some), some.argmax(-1)));
  }
}

TEST_P(Logits, TheFirstOfEqualsIsTheLargest) {
  at::Tensor logits = at::zeros({4, 5000}, dtype);
  for (const std::int64_t token : {4321, 2047, 2048, 17}) logits[0][token] = 3;
  logits[1].narrow(0, 1023, 3000).fill_(-infinity);
  logits[2].fill_(-5);
  logits[2][4999] = infinity;
  logits[3].fill_(-infinity);
  EXPECT_TRUE(at::equal(ops.argmax(logits), logits.argmax(-1)));
  EXPECT_EQ(ops.argmax(logits)[0].item<std::int64_t>(), 17);
}

TEST_P(Logits, ARowOfNanGivesSomeToken) {
  const at::Tensor logits =
      at::zeros({1, 3000}, dtype).fill_(std::numeric_limits<float>::quiet_NaN());
  const auto token = ops.argmax(logits)[0].item<std::int64_t>();
  EXPECT_TRUE(token >= 0 && token < 3000);
}

TEST_P(Logits, OneElementMakesARowNotFinite) {
  const double largest = dtype == at::kHalf    ? 65504
                         : dtype == at::kFloat ? std::numeric_limits<float>::max()
                                               : 3.38e38;
  at::Tensor logits = (at::randn({6, 3001}) * largest / 6).to(dtype);
  logits[1][3000] = infinity;
  logits[2][0] = -infinity;
  logits[3][1500] = std::numeric_limits<float>::quiet_NaN();
  logits[4].fill_(largest);
  EXPECT_TRUE(at::equal(ops.finite_rows(logits), logits.isfinite().all(-1)));
}

#define EVERY_TABLE(Suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(Tables, Suite, ::testing::ValuesIn(testing::tables()), \
                           [](const auto& info) { return info.param.name; })
EVERY_TABLE(NormOf);
EVERY_TABLE(RotateAndWrite);
EVERY_TABLE(Attention);
EVERY_TABLE(Product);
EVERY_TABLE(Logits);

TEST(OperationsOf, TheCpuHasItsOwnLoopsForFloat32AndBfloat16Alone) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    EXPECT_EQ(&operations_of({at::kCPU, dtype}), has_amx() ? &amx_operations() : &cpu_operations());
  EXPECT_EQ(&operations_of({at::kCPU, at::kHalf}), &aten_operations());
}

}  // namespace
}  // namespace rvsweep
