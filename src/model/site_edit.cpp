#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/lerp.h>

#include <algorithm>

namespace rvsweep {

bool has_edits(const std::vector<SiteEdit>& patches, const std::vector<SiteCapture>* records,
               Site site, std::int64_t layer) {
  const auto here = [&](const auto& x) { return x.site == site && x.layer == layer; };
  return std::ranges::any_of(patches, here) ||
         (records != nullptr && std::ranges::any_of(*records, here));
}

at::Tensor apply_edits(const std::vector<SiteEdit>& patches, std::vector<SiteCapture>* records,
                       Site site, std::int64_t layer, const at::Tensor& x) {
  at::Tensor result = x;
  for (const SiteEdit& patch : patches)
    if (patch.site == site && patch.layer == layer)
      result = at::lerp(result.to(at::kFloat), patch.values.to(at::kFloat), patch.weight)
                   .to(x.scalar_type());
  if (records != nullptr)
    for (SiteCapture& record : *records)
      if (record.site == site && record.layer == layer)
        record.values = result.narrow(1, result.size(1) - record.queries, record.queries).clone();
  return result;
}

}  // namespace rvsweep
