#include "kernels/cpu/decode_attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/simd.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::cpu {
namespace {

constexpr std::int64_t vectors = 4;             // Lanes of one head that the loops hold at once
constexpr std::int64_t part = vectors * lanes;  // elements of one head that they hold
constexpr std::int64_t max_queries = 4;         // query heads that they hold
constexpr std::int64_t keys_at_once = 4;        // keys whose horizontal sums are taken together

/// Prefetches `part` elements into the second-level cache.
template <class T>
RVSWEEP_INLINE void prefetch(const T* elements) {
  constexpr std::int64_t line = 64 / sizeof(T);
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < part; i += line) __builtin_prefetch(elements + i, 0, 2);
}

/// The sum of each of four vectors, in order.
RVSWEEP_INLINE void horizontal_sums(const Lanes x[4], float sums[4]) {
  using Indices = std::int32_t __attribute__((vector_size(64)));
  constexpr Indices lower{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23};
  constexpr Indices upper{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31};
  constexpr Indices even{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27};
  constexpr Indices odd{4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31};
  const Lanes ab = __builtin_shuffle(x[0], x[1], lower) + __builtin_shuffle(x[0], x[1], upper);
  const Lanes cd = __builtin_shuffle(x[2], x[3], lower) + __builtin_shuffle(x[2], x[3], upper);
  Lanes fours = __builtin_shuffle(ab, cd, even) + __builtin_shuffle(ab, cd, odd);
  constexpr Indices by_two{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
  constexpr Indices by_one{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14};
  fours += __builtin_shuffle(fours, by_two);
  fours += __builtin_shuffle(fours, by_one);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) sums[i] = fours[4 * i];
}

/// scores [Q, C] = queries [Q, hd] times keys [C, hd] + bias [C], hd a multiple of `part`.
template <std::int64_t Q, class T>
RVSWEEP_INLINE void score(const float* __restrict queries, const T* __restrict keys,
                          const float* __restrict bias, const T* next, std::int64_t C,
                          std::int64_t hd, float* __restrict scores) {
  for (std::int64_t first = 0; first < hd; first += part) {
    Lanes query[Q][vectors];
#pragma GCC unroll 4
    for (std::int64_t h = 0; h < Q; ++h)
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < vectors; ++i)
        load(queries + h * hd + first + i * lanes, query[h][i]);
    for (std::int64_t c = 0; c < C; c += keys_at_once) {
      Lanes products[Q][keys_at_once];
#pragma GCC unroll 4
      for (std::int64_t k = 0; k < keys_at_once; ++k) {
        const T* const cell = keys + std::min(c + k, C - 1) * hd + first;
        prefetch(next + std::min(c + k, C - 1) * hd + first);
        Lanes key[vectors];
#pragma GCC unroll 4
        for (std::int64_t i = 0; i < vectors; ++i) load(cell + i * lanes, key[i]);
#pragma GCC unroll 4
        for (std::int64_t h = 0; h < Q; ++h)
          products[h][k] = (query[h][0] * key[0] + query[h][1] * key[1]) +
                           (query[h][2] * key[2] + query[h][3] * key[3]);
      }
#pragma GCC unroll 4
      for (std::int64_t h = 0; h < Q; ++h) {
        float sums[keys_at_once];
        horizontal_sums(products[h], sums);
        for (std::int64_t k = 0; k < std::min(keys_at_once, C - c); ++k) {
          float& score = scores[h * C + c + k];
          score = sums[k] + (first == 0 ? bias[c + k] : score);
        }
      }
    }
  }
}

/// z [Q, hd] = weights [Q, C] times values [C, hd], hd a multiple of `part`.
template <std::int64_t Q, class T>
RVSWEEP_INLINE void mix(const float* __restrict weights, const T* __restrict values, const T* next,
                        std::int64_t C, std::int64_t hd, float* __restrict z) {
  for (std::int64_t first = 0; first < hd; first += part) {
    Lanes sum[Q][vectors] = {};
    for (std::int64_t c = 0; c < C; ++c) {
      prefetch(next + c * hd + first);
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
template <class T>
RVSWEEP_INLINE void score_any(const float* __restrict queries, const T* __restrict keys,
                              const float* __restrict bias, std::int64_t g, std::int64_t C,
                              std::int64_t hd, float* __restrict scores) {
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t h = 0; h < g; ++h) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < hd; ++i) sum += queries[h * hd + i] * to_float(keys[c * hd + i]);
      scores[h * C + c] = sum + bias[c];
    }
}
template <class T>
RVSWEEP_INLINE void mix_any(const float* __restrict weights, const T* __restrict values,
                            std::int64_t g, std::int64_t C, std::int64_t hd, float* __restrict z) {
  for (std::int64_t i = 0; i < g * hd; ++i) z[i] = 0;
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t h = 0; h < g; ++h)
      for (std::int64_t i = 0; i < hd; ++i)
        z[h * hd + i] += weights[h * C + c] * to_float(values[c * hd + i]);
}

/// Calls `work` with the first of up to max_queries query heads and their count, a constant.
template <class Work>
RVSWEEP_INLINE void by_queries(std::int64_t g, const Work& work) {
  for (std::int64_t h = 0; h < g; h += max_queries) switch (g - h) {
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
        work(h, std::integral_constant<std::int64_t, max_queries>{});
    }
}

template <class T>
RVSWEEP_INLINE void score_group(const float* queries, const T* keys, const float* bias,
                                const T* next, std::int64_t g, std::int64_t C, std::int64_t hd,
                                float* scores) {
  if (hd % part != 0) return score_any(queries, keys, bias, g, C, hd, scores);
  by_queries(g, [=](std::int64_t h, auto Q) RVSWEEP_LAMBDA {
    score<Q>(queries + h * hd, keys, bias, next, C, hd, scores + h * C);
  });
}
template <class T>
RVSWEEP_INLINE void mix_group(const float* weights, const T* values, const T* next, std::int64_t g,
                              std::int64_t C, std::int64_t hd, float* z) {
  if (hd % part != 0) return mix_any(weights, values, g, C, hd, z);
  by_queries(g, [=](std::int64_t h, auto Q)
                    RVSWEEP_LAMBDA { mix<Q>(weights + h * C, values, next, C, hd, z + h * hd); });
}

/// scores [C] to cap * tanh(score / cap) + bias [C].
RVSWEEP_INLINE void cap_softly(float cap, const float* __restrict bias, std::int64_t C,
                               float* __restrict scores) {
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c)
    scores[c] = cap - 2 * cap / (1.0F + exponential(2 * scores[c] / cap)) + bias[c];
}

/// scores [C] to e^(score - largest); returns their sum.
RVSWEEP_INLINE float exponentials(float* __restrict scores, std::int64_t C) {
  float largest = scores[0], sum = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t c = 0; c < C; ++c) largest = scores[c] > largest ? scores[c] : largest;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c) {
    scores[c] = exponential(scores[c] - largest);
    sum += scores[c];
  }
  return sum;
}

/// The queries of a KV head, its cells, and workspace for the scores.
template <class T>
struct HeadOfRow {
  const T *q, *keys, *values;  // [g, hd], [C, hd], [C, hd]
  const T* next_keys;          // [C, hd], of the head that comes next
  const float* bias;           // [C]
  std::int64_t g, C, hd;
  float scale, soft_cap;
  float *queries, *scores, *sums, *mixed;  // [g, hd], [g, C], [g], [g, hd]
  const float* zeros;                      // [C]
  T* z;                                    // [g, hd]
};

template <class T>
RVSWEEP_INLINE void attend_to(const HeadOfRow<T>& in) {
#pragma omp simd
  for (std::int64_t i = 0; i < in.g * in.hd; ++i) in.queries[i] = to_float(in.q[i]) * in.scale;
  score_group(in.queries, in.keys, in.soft_cap > 0 ? in.zeros : in.bias, in.values, in.g, in.C,
              in.hd, in.scores);
  if (in.soft_cap > 0)
    for (std::int64_t h = 0; h < in.g; ++h)
      cap_softly(in.soft_cap, in.bias, in.C, in.scores + h * in.C);
  for (std::int64_t h = 0; h < in.g; ++h) in.sums[h] = exponentials(in.scores + h * in.C, in.C);
  mix_group(in.scores, in.values, in.next_keys, in.g, in.C, in.hd, in.mixed);
  for (std::int64_t h = 0; h < in.g; ++h)
#pragma omp simd
    for (std::int64_t i = h * in.hd; i < (h + 1) * in.hd; ++i)
      round_to(in.mixed[i] / in.sums[h], in.z[i]);
}
RVSWEEP_TARGET_CLONES void attend(const HeadOfRow<float>& in) { attend_to(in); }
RVSWEEP_TARGET_CLONES void attend(const HeadOfRow<std::uint16_t>& in) { attend_to(in); }

template <class T>
const T* elements_of(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <class T>
at::Tensor attention_of(const at::Tensor& q, const CacheCells& in, const at::Tensor& bias,
                        const Scores& how) {
  const auto& [keys, values] = in;
  const auto B = q.size(0), nh = q.size(1), hd = q.size(2), nkv = keys.size(1), C = keys.size(2);
  const auto g = nh / nkv;
  const at::Tensor z = at::empty({B, nh, hd}, q.options());
  at::parallel_for(0, B * nkv, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> workspace(static_cast<std::size_t>(g * (2 * hd + C + 1) + C));
    float* const mixed = workspace.data() + g * hd;
    float* const scores = mixed + g * hd;
    const auto cells = [&](const at::Tensor& x, std::int64_t i) {
      return elements_of<T>(x) + i / nkv * x.stride(0) + i % nkv * x.stride(1);
    };
    for (std::int64_t i = begin; i < end; ++i) {
      const auto row = i / nkv, head = i % nkv;
      attend(HeadOfRow<T>{elements_of<T>(q) + row * q.stride(0) + head * g * hd, cells(keys, i),
                          cells(values, i), cells(keys, std::min(i + 1, end - 1)),
                          bias.const_data_ptr<float>() + row * bias.stride(0), g, C, hd,
                          static_cast<float>(how.scale), static_cast<float>(how.soft_cap),
                          workspace.data(), scores, scores + g * C, mixed, scores + g * (C + 1),
                          static_cast<T*>(z.data_ptr()) + i * g * hd});
    }
  });
  return z;
}

}  // namespace

at::Tensor decode_attention(const at::Tensor& q, const CacheCells& cells, const at::Tensor& bias,
                            const Scores& scores) {
  const auto hd = q.size(2);
  RVSWEEP_EXPECT(q.stride(1) == hd && q.stride(2) == 1, "a row's query heads must be contiguous");
  for (const at::Tensor& x : {cells.keys, cells.values})
    RVSWEEP_EXPECT(x.stride(2) == hd && x.stride(3) == 1, "a KV head's cells must be contiguous");
  RVSWEEP_EXPECT(bias.stride(1) == 1, "a row's bias must be contiguous");
  if (q.scalar_type() == at::kFloat) return attention_of<float>(q, cells, bias, scores);
  return attention_of<std::uint16_t>(q, cells, bias, scores);
}

}  // namespace rvsweep::cpu
