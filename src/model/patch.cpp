#include "rvsweep/model/patch.hpp"

#include <ATen/ops/lerp.h>

namespace rvsweep {

at::Tensor patched(const std::vector<SitePatch>& patches, Site site, std::int64_t layer,
                   const at::Tensor& x) {
  at::Tensor result = x;
  for (const SitePatch& patch : patches)
    if (patch.site == site && patch.layer == layer)
      result = at::lerp(result, patch.values, patch.weight);
  return result;
}

}  // namespace rvsweep
