#include "rvsweep/model/decode_attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/empty.h>

#include <bit>
#include <type_traits>

#include "rvsweep/core/error.hpp"

// One version of each loop per vector width, chosen when the program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define RVSWEEP_EVERY_WIDTH \
  __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define RVSWEEP_EVERY_WIDTH
#endif
#define RVSWEEP_INLINE inline __attribute__((always_inline))
#define RVSWEEP_LAMBDA __attribute__((always_inline))

namespace rvsweep {
namespace {

/// bfloat16 is the upper half of a float32.
RVSWEEP_INLINE float wide(float x) { return x; }
RVSWEEP_INLINE float wide(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

/// scores [g, C] = queries [g, hd] times keys [C, hd] + bias [C].
template <class Number>
RVSWEEP_INLINE void score(const float* __restrict queries, const Number* __restrict keys,
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

/// z [g, hd] = weights [g, C] times values [C, hd].
template <class Number>
RVSWEEP_INLINE void mix(const float* __restrict weights, const Number* __restrict values,
                        std::int64_t g, std::int64_t C, std::int64_t hd, float* __restrict z) {
  for (std::int64_t i = 0; i < g * hd; ++i) z[i] = 0;
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t h = 0; h < g; ++h) {
      const float weight = weights[h * C + c];
#pragma omp simd
      for (std::int64_t i = 0; i < hd; ++i) z[h * hd + i] += weight * wide(values[c * hd + i]);
    }
}

/// Calls `loop` with the head dimension as a constant where it is a usual one, so that its sums
/// stay in registers.
template <class Loop>
RVSWEEP_INLINE void with_head_dim(std::int64_t hd, const Loop& loop) {
  if (hd == 64) return loop(std::integral_constant<std::int64_t, 64>{});
  if (hd == 128) return loop(std::integral_constant<std::int64_t, 128>{});
  loop(hd);
}

RVSWEEP_EVERY_WIDTH void score_float(const float* queries, const float* keys, const float* bias,
                                     std::int64_t g, std::int64_t C, std::int64_t hd,
                                     float* scores) {
  with_head_dim(hd,
                [=](auto dim) RVSWEEP_LAMBDA { score(queries, keys, bias, g, C, dim, scores); });
}

RVSWEEP_EVERY_WIDTH void score_bfloat16(const float* queries, const std::uint16_t* keys,
                                        const float* bias, std::int64_t g, std::int64_t C,
                                        std::int64_t hd, float* scores) {
  with_head_dim(hd,
                [=](auto dim) RVSWEEP_LAMBDA { score(queries, keys, bias, g, C, dim, scores); });
}

RVSWEEP_EVERY_WIDTH void mix_float(const float* weights, const float* values, std::int64_t g,
                                   std::int64_t C, std::int64_t hd, float* z) {
  with_head_dim(hd, [=](auto dim) RVSWEEP_LAMBDA { mix(weights, values, g, C, dim, z); });
}

RVSWEEP_EVERY_WIDTH void mix_bfloat16(const float* weights, const std::uint16_t* values,
                                      std::int64_t g, std::int64_t C, std::int64_t hd, float* z) {
  with_head_dim(hd, [=](auto dim) RVSWEEP_LAMBDA { mix(weights, values, g, C, dim, z); });
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
