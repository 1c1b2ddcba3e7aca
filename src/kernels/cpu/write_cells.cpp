#include "kernels/cpu/write_cells.hpp"

#include <cstddef>
#include <cstring>

#include "kernels/cpu/parallel.hpp"
#include "rvsweep/core/error.hpp"

namespace rvsweep::cpu {

void write_cells(const at::Tensor& from, const at::Tensor& cells) {
  const auto B = from.size(0), T = from.size(1), heads = from.size(2), hd = from.size(3);
  RVSWEEP_EXPECT(from.stride(2) == hd && from.stride(3) == 1 && cells.stride(2) == hd &&
                     cells.stride(3) == 1 && from.scalar_type() == cells.scalar_type(),
                 "heads must be contiguous");
  const auto item = static_cast<std::int64_t>(from.element_size());
  const auto* const source = static_cast<const std::byte*>(from.const_data_ptr());
  auto* const target = static_cast<std::byte*>(cells.data_ptr());
  constexpr std::int64_t rows_per_task = 16;
  at::parallel_for(0, B, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t head = 0; head < heads; ++head)
        for (std::int64_t t = 0; t < T; ++t)
          std::memcpy(target + item * (row * cells.stride(0) + head * cells.stride(1) + t * hd),
                      source + item * (row * from.stride(0) + t * from.stride(1) + head * hd),
                      static_cast<std::size_t>(hd * item));
  });
}

}  // namespace rvsweep::cpu
