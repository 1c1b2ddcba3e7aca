#pragma once
// A change to what a site computes inside the forward pass, as data.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rvsweep {

/// Named places in a block whose tensor a patch may change (TransformerLens' hook names).
enum class Site { v };  // output of v_proj, bias included

/// new = (1 - weight) * old + weight * values, row by row of the batch. A weight of 0 leaves a
/// cell's bits alone, a weight of 1 gives the value's bits, so rows of one batch may carry unlike
/// patches.
struct SitePatch {
  Site site = Site::v;
  std::int64_t layer = 0;
  at::Tensor values;  // [rows, queries, n_kv_heads, head_dim]
  at::Tensor weight;  // [rows, queries, n_kv_heads, 1], 0..1, in values' dtype
};

/// `x` at (site, layer) after its patches; `x` itself where there are none.
at::Tensor patched(const std::vector<SitePatch>& patches, Site site, std::int64_t layer,
                   const at::Tensor& x);

}  // namespace rvsweep
