#pragma once
#include <ATen/ops/empty.h>

#include "kernels/cpu/amx/product.hpp"

namespace rvsweep::testing {

inline at::Tensor in_tiles(const at::Tensor& matrix) {
  const at::Tensor tiles = at::empty(tiled_shape(matrix.size(0), matrix.size(1)), matrix.options());
  arrange_in_tiles(static_cast<const std::byte*>(matrix.const_data_ptr()), matrix.size(0),
                   matrix.size(1), matrix.element_size(),
                   static_cast<std::byte*>(tiles.data_ptr()));
  return tiles;
}

}  // namespace rvsweep::testing
