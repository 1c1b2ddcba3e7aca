#include "rvsweep/model/decode_attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/empty.h>

#include <type_traits>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/vector_widths.hpp"

namespace rvsweep {
namespace {

constexpr std::int64_t vectors = 4;             // of Lanes that a loop holds of a head at once
constexpr std::int64_t part = vectors * lanes;  // numbers of a head in them
constexpr std::int64_t most_queries = 4;        // that it holds

/// scores [Q, C] = queries [Q, hd] times keys [C, hd] + bias [C], hd a multiple of `part`.
template <std::int64_t Q, class Number>
RVSWEEP_INLINE void score(const float* __restrict queries, const Number* __restrict keys,
                          const float* __restrict bias, std::int64_t C, std::int64_t hd,
                          float* __restrict scores) {
  for (std::int64_t first = 0; first < hd; first += part) {
    Lanes query[Q][vectors];
#pragma GCC unroll 4
    for (std::int64_t h = 0; h < Q; ++h)
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < vectors; ++i)
        load(queries + h * hd + first + i * lanes, query[h][i]);
    for (std::int64_t c = 0; c < C; ++c) {
      Lanes key[vectors];
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < vectors; ++i) load(keys + c * hd + first + i * lanes, key[i]);
#pragma GCC unroll 4
      for (std::int64_t h = 0; h < Q; ++h) {
        const Lanes products = (query[h][0] * key[0] + query[h][1] * key[1]) +
                               (query[h][2] * key[2] + query[h][3] * key[3]);
        scores[h * C + c] = total(products) + (first == 0 ? bias[c] : scores[h * C + c]);
      }
    }
  }
}

/// z [Q, hd] = weights [Q, C] times values [C, hd], hd a multiple of `part`.
template <std::int64_t Q, class Number>
RVSWEEP_INLINE void mix(const float* __restrict weights, const Number* __restrict values,
                        std::int64_t C, std::int64_t hd, float* __restrict z) {
  for (std::int64_t first = 0; first < hd; first += part) {
    Lanes sum[Q][vectors] = {};
    for (std::int64_t c = 0; c < C; ++c) {
      Lanes value[vectors];
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < vectors; ++i)
        load(values + c * hd + first + i * lanes, value[i]);
#pragma GCC unroll 4
      for (std::int64_t h = 0; h < Q; ++h)
#pragma GCC unroll 4
        for (std::int64_t i = 0; i < vectors; ++i) sum[h][i] += weights[h * C + c] * value[i];
    }
#pragma GCC unroll 4
    for (std::int64_t h = 0; h < Q; ++h)
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < vectors; ++i) store(sum[h][i], z + h * hd + first + i * lanes);
  }
}

/// The same for any head dimension.
template <class Number>
RVSWEEP_INLINE void score_any(const float* __restrict queries, const Number* __restrict keys,
                              const float* __restrict bias, std::int64_t g, std::int64_t C,
                              std::int64_t hd, float* __restrict scores) {
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t h = 0; h < g; ++h) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < hd; ++i) sum += queries[h * hd + i] * wide(keys[c * hd + i]);
      scores[h * C + c] = sum + bias[c];
    }
}
template <class Number>
RVSWEEP_INLINE void mix_any(const float* __restrict weights, const Number* __restrict values,
                            std::int64_t g, std::int64_t C, std::int64_t hd, float* __restrict z) {
  for (std::int64_t i = 0; i < g * hd; ++i) z[i] = 0;
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t h = 0; h < g; ++h)
      for (std::int64_t i = 0; i < hd; ++i)
        z[h * hd + i] += weights[h * C + c] * wide(values[c * hd + i]);
}

/// Calls `work` with the first of so many queries and their number, as a constant.
template <class Work>
RVSWEEP_INLINE void by_queries(std::int64_t g, const Work& work) {
  for (std::int64_t h = 0; h < g; h += most_queries) switch (g - h) {
      case 1:
        work(h, std::integral_constant<std::int64_t, 1>{});
        break;
      case 2:
        work(h, std::integral_constant<std::int64_t, 2>{});
        break;
      case 3:
        work(h, std::integral_constant<std::int64_t, 3>{});
        break;
      default:
        work(h, std::integral_constant<std::int64_t, most_queries>{});
    }
}

template <class Number>
RVSWEEP_INLINE void score_group(const float* queries, const Number* keys, const float* bias,
                                std::int64_t g, std::int64_t C, std::int64_t hd, float* scores) {
  if (hd % part != 0) return score_any(queries, keys, bias, g, C, hd, scores);
  by_queries(g, [=](std::int64_t h, auto Q) RVSWEEP_LAMBDA {
    score<Q>(queries + h * hd, keys, bias, C, hd, scores + h * C);
  });
}
template <class Number>
RVSWEEP_INLINE void mix_group(const float* weights, const Number* values, std::int64_t g,
                              std::int64_t C, std::int64_t hd, float* z) {
  if (hd % part != 0) return mix_any(weights, values, g, C, hd, z);
  by_queries(g, [=](std::int64_t h, auto Q)
                    RVSWEEP_LAMBDA { mix<Q>(weights + h * C, values, C, hd, z + h * hd); });
}

RVSWEEP_EVERY_WIDTH void score_float(const float* queries, const float* keys, const float* bias,
                                     std::int64_t g, std::int64_t C, std::int64_t hd,
                                     float* scores) {
  score_group(queries, keys, bias, g, C, hd, scores);
}
RVSWEEP_EVERY_WIDTH void score_bfloat16(const float* queries, const std::uint16_t* keys,
                                        const float* bias, std::int64_t g, std::int64_t C,
                                        std::int64_t hd, float* scores) {
  score_group(queries, keys, bias, g, C, hd, scores);
}
RVSWEEP_EVERY_WIDTH void mix_float(const float* weights, const float* values, std::int64_t g,
                                   std::int64_t C, std::int64_t hd, float* z) {
  mix_group(weights, values, g, C, hd, z);
}
RVSWEEP_EVERY_WIDTH void mix_bfloat16(const float* weights, const std::uint16_t* values,
                                      std::int64_t g, std::int64_t C, std::int64_t hd, float* z) {
  mix_group(weights, values, g, C, hd, z);
}

/// The numbers of a row's KV head, cells [C, hd]; bfloat16 as its bits.
template <class Number>
const Number* cells_of(const at::Tensor& x, std::int64_t row, std::int64_t head) {
  return static_cast<const Number*>(x.const_data_ptr()) + row * x.stride(0) + head * x.stride(1);
}

}  // namespace

at::Tensor decode_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& bias, double scale) {
  const auto B = q.size(0), nh = q.size(1), hd = q.size(2), nkv = keys.size(1), C = keys.size(2);
  const auto g = nh / nkv;
  RVSWEEP_EXPECT(keys.stride(2) == hd && values.stride(2) == hd && keys.stride(3) == 1 &&
                     values.stride(3) == 1 && bias.stride(1) == 1,
                 "a KV head's cells are neighbours");
  const bool narrow = q.scalar_type() == at::kBFloat16;
  const at::Tensor queries = (q.to(at::kFloat) * scale).contiguous();
  const at::Tensor scores = at::empty({B, nh, C}, queries.options());
  const at::Tensor z = at::empty({B, nh, hd}, queries.options());
  const auto for_every_head = [&](const auto& work) {
    at::parallel_for(0, B * nkv, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) work(i / nkv, i % nkv, i * g);
    });
  };
  for_every_head([&](std::int64_t row, std::int64_t head, std::int64_t first) {
    const float* const query = queries.const_data_ptr<float>() + first * hd;
    const float* const of_row = bias.const_data_ptr<float>() + row * bias.stride(0);
    float* const out = scores.data_ptr<float>() + first * C;
    if (narrow)
      score_bfloat16(query, cells_of<std::uint16_t>(keys, row, head), of_row, g, C, hd, out);
    else
      score_float(query, cells_of<float>(keys, row, head), of_row, g, C, hd, out);
  });
  const at::Tensor weights = at::_softmax(scores, -1, /*half_to_float=*/false);
  for_every_head([&](std::int64_t row, std::int64_t head, std::int64_t first) {
    const float* const weight = weights.const_data_ptr<float>() + first * C;
    float* const out = z.data_ptr<float>() + first * hd;
    if (narrow)
      mix_bfloat16(weight, cells_of<std::uint16_t>(values, row, head), g, C, hd, out);
    else
      mix_float(weight, cells_of<float>(values, row, head), g, C, hd, out);
  });
  return z.to(q.scalar_type());
}

}  // namespace rvsweep
