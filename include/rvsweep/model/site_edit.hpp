#pragma once
// Edits of what sites compute inside the forward pass, and captures of it, as data.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rvsweep/model_config/site.hpp"

namespace rvsweep {

/// The operation in float32, row by row of the batch. A weight of 0 leaves a cell's bits alone, a
/// weight of 1 gives the value's bits to what is replaced, so rows of one batch may carry unlike
/// edits.
struct SiteEdit {
  Site site = Site::v;
  std::int64_t layer = 0;
  at::Tensor values;  // [rows, queries, heads, dim] of the site, or 1 for rows and queries that
                      // are given the same; undefined for `scale`
  at::Tensor weight;  // [rows, queries, heads, 1], float32
  SiteOperation operation = SiteOperation::replace;
};

/// Asks for what a site gives at the last `queries` queries; zeros before those of a shorter pass.
struct SiteCapture {
  Site site = Site::v;
  std::int64_t layer = 0;
  std::int64_t queries = 1;
  at::Tensor values = {};     // [rows, queries, heads, dim], filled by the forward pass
  bool before_edits = false;  // without those of the site itself
};

/// Whether any edit or capture is at (site, layer).
bool has_edits(const std::vector<SiteEdit>& edits, const std::vector<SiteCapture>* captures,
               Site site, std::int64_t layer);

/// `x` [rows, queries, heads, dim] at (site, layer) after its edits, captured where asked for; `x`
/// itself where there is none.
at::Tensor apply_edits(const std::vector<SiteEdit>& edits, std::vector<SiteCapture>* captures,
                       Site site, std::int64_t layer, const at::Tensor& x);

}  // namespace rvsweep
