#include "rvsweep/model/site_edit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/atan2.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/where.h>
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

at::Tensor along_heads(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(-1, /*keepdim=*/true);
}

/// What a weight of 1 adds to x; v is not 0 where it is divided by.
at::Tensor addition(SiteOperation operation, const at::Tensor& x, const at::Tensor& v) {
  if (operation == SiteOperation::scale) return x;
  if (operation == SiteOperation::add) return v;
  const at::Tensor squared = along_heads(v, v);
  const at::Tensor safe = at::where(squared > 0, squared, 1);
  if (operation == SiteOperation::add_of_norm) return v * (along_heads(x, x) / safe).sqrt();
  return v * (along_heads(x, v) / safe) * -1;
}

at::Tensor norm(const at::Tensor& x) { return along_heads(x, x).sqrt(); }

/// SiteOperation::replace_on_sphere.
at::Tensor mixed_on_sphere(const at::Tensor& x, const at::Tensor& v, const at::Tensor& weight) {
  constexpr double least = 1e-3;
  const at::Tensor x_norm = norm(x), v_norm = norm(v);
  const at::Tensor a = x / at::where(x_norm > 0, x_norm, 1);
  const at::Tensor b = v / at::where(v_norm > 0, v_norm, 1);
  const at::Tensor apart = norm(a - b), together = norm(a + b);
  const at::Tensor angle = at::atan2(apart, together) * 2;
  const at::Tensor sine = at::where(angle.sin() > 0, angle.sin(), 1);
  const at::Tensor left = (angle * (weight * -1 + 1)).sin(), done = (angle * weight).sin();
  const at::Tensor direction = (a * left + b * done) / sine;
  const at::Tensor is_arc =
      at::logical_and(at::minimum(apart, together) > least, at::minimum(x_norm, v_norm) > 0);
  return at::where(is_arc, direction * at::lerp(x_norm, v_norm, weight), at::lerp(x, v, weight));
}

at::Tensor edited(const SiteEdit& edit, const at::Tensor& values) {
  const at::Tensor x = values.to(at::kFloat);
  const at::Tensor v = edit.values.defined() ? edit.values.to(at::kFloat) : at::Tensor();
  if (edit.operation == SiteOperation::replace) return at::lerp(x, v, edit.weight);
  if (edit.operation == SiteOperation::replace_on_sphere)
    return at::where(edit.weight != 0,
                     at::where(edit.weight != 1, mixed_on_sphere(x, v, edit.weight), v), x);
  return at::where(edit.weight != 0, x + addition(edit.operation, x, v) * edit.weight, x);
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
    if (edit.site == site && edit.layer == layer) result = edited(edit, result).to(x.scalar_type());
  if (captures != nullptr)
    for (SiteCapture& capture : *captures)
      if (capture.site == site && capture.layer == layer)
        capture.values = last_queries(capture.before_edits ? x : result, capture.queries);
  return result;
}

}  // namespace rvsweep
