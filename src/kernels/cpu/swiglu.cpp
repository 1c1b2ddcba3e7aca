#include "kernels/cpu/swiglu.hpp"

#include <ATen/ops/empty.h>

#include <vector>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/swiglu_row.hpp"

namespace rvsweep::cpu {
namespace {

RVSWEEP_TARGET_CLONES void gate_rows(const float* gate_up, std::int64_t rows, std::int64_t I,
                                     float* out) {
  for (std::int64_t r = 0; r < rows; ++r)
    gate_row(gate_up + 2 * r * I, gate_up + (2 * r + 1) * I, I, out + r * I);
}
RVSWEEP_TARGET_CLONES void gate_rows(const std::uint16_t* gate_up, std::int64_t rows,
                                     std::int64_t I, std::uint16_t* out) {
  for (std::int64_t r = 0; r < rows; ++r)
    gate_row(gate_up + 2 * r * I, gate_up + (2 * r + 1) * I, I, out + r * I);
}

template <class T>
at::Tensor gated(const at::Tensor& gate_up) {
  const at::Tensor in = gate_up.contiguous();
  const auto I = in.size(-1) / 2, rows = in.numel() / (2 * I);
  std::vector<std::int64_t> shape = in.sizes().vec();
  shape.back() = I;
  const at::Tensor out = at::empty(shape, in.options());
  const auto* const from = static_cast<const T*>(in.const_data_ptr());
  auto* const to = static_cast<T*>(out.data_ptr());
  constexpr std::int64_t rows_per_task = 4;
  at::parallel_for(0, rows, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    gate_rows(from + 2 * begin * I, end - begin, I, to + begin * I);
  });
  return out;
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  return gate_up.scalar_type() == at::kFloat ? gated<float>(gate_up)
                                             : gated<std::uint16_t>(gate_up);
}

}  // namespace rvsweep::cpu
