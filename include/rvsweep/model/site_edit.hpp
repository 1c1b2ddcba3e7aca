#pragma once
// Changes to what sites compute inside the forward pass, and recordings of it, as data.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "rvsweep/model_config/site.hpp"

namespace rvsweep {

/// new = (1 - weight) * old + weight * values in float32, row by row of the batch. A weight of 0
/// leaves a cell's bits alone, a weight of 1 gives the value's bits, so rows of one batch may carry
/// unlike patches.
struct SiteEdit {
  Site site = Site::v;
  std::int64_t layer = 0;
  at::Tensor values;  // [rows, queries, heads, dim] of the site
  at::Tensor weight;  // [rows, queries, heads, 1], 0..1, float32
};

/// Asks for what a site gives, patches included, at the last `queries` queries.
struct SiteCapture {
  Site site = Site::v;
  std::int64_t layer = 0;
  std::int64_t queries = 1;
  at::Tensor values = {};  // [rows, queries, heads, dim], filled by the forward pass
};

/// Whether any patch or record is at (site, layer).
bool has_edits(const std::vector<SiteEdit>& patches, const std::vector<SiteCapture>* records,
               Site site, std::int64_t layer);

/// `x` [rows, queries, heads, dim] at (site, layer) after its patches, recorded where a record asks
/// for it; `x` itself where nothing does.
at::Tensor apply_edits(const std::vector<SiteEdit>& patches, std::vector<SiteCapture>* records,
                       Site site, std::int64_t layer, const at::Tensor& x);

}  // namespace rvsweep
