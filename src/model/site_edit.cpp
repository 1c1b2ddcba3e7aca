#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/lerp.h>

#include <algorithm>

namespace rvsweep {

bool has_edits(const std::vector<SiteEdit>& edits, const std::vector<SiteCapture>* captures,
               Site site, std::int64_t layer) {
  const auto here = [&](const auto& x) { return x.site == site && x.layer == layer; };
  return std::ranges::any_of(edits, here) ||
         (captures != nullptr && std::ranges::any_of(*captures, here));
}

at::Tensor apply_edits(const std::vector<SiteEdit>& edits, std::vector<SiteCapture>* captures,
                       Site site, std::int64_t layer, const at::Tensor& x) {
  at::Tensor result = x;
  for (const SiteEdit& edit : edits)
    if (edit.site == site && edit.layer == layer)
      result = at::lerp(result.to(at::kFloat), edit.values.to(at::kFloat), edit.weight)
                   .to(x.scalar_type());
  if (captures != nullptr)
    for (SiteCapture& capture : *captures)
      if (capture.site == site && capture.layer == layer)
        capture.values =
            result.narrow(1, result.size(1) - capture.queries, capture.queries).clone();
  return result;
}

}  // namespace rvsweep
