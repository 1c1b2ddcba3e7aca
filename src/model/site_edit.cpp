#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace rvsweep {

namespace {

/// A copy of the last queries of `x`, after zeros where it has fewer.
at::Tensor last_queries(const at::Tensor& x, std::int64_t queries) {
  const std::int64_t missing = queries - x.size(1);
  if (missing <= 0) return x.narrow(1, -missing, queries).clone();
  auto shape = x.sizes().vec();
  shape[1] = missing;
  return at::cat({at::zeros(shape, x.options()), x}, 1);
}

}  // namespace

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
        capture.values = last_queries(result, capture.queries);
  return result;
}

}  // namespace rvsweep
