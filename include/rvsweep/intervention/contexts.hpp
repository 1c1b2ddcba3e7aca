#pragma once
// What the prompts of a bundle, and the donors derived from them, leave behind unpatched.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/site_edit.hpp"

namespace rvsweep {

/// Vectors by site and name (plan/directions.hpp), float32 [n_layers, heads, dim] on the device.
using Directions = std::map<std::pair<Site, std::string>, at::Tensor>;

/// Where the cells of a slot lie: columns [begin, end) of a row of the cache, the last token's in
/// column end - 1.
struct CacheSlot {
  std::int64_t row = 0, begin = 0, end = 0;
};

/// A prompt's slot is its index in the bundle; derived donors come after the bundle's padded number
/// of prompts.
struct ContextState {
  KvCache cache = {};                   // [n_layers, rows, n_kv_heads, columns, head_dim]
  std::vector<CacheSlot> slots = {};    // a row each, or one after the other in one row
  std::int64_t columns = 0;             // T, into which the rows' prompts are aligned at their ends
  std::vector<SiteCapture> sites = {};  // last tokens at every (site, layer) that some row patches
  std::vector<SiteCapture> streams = {};   // resid_pre of the prompts' last tokens, where the site
                                           // patches of some row begin
  std::vector<SiteCapture> measured = {};  // last tokens at every layer of the sites whose spectra
                                           // are asked for
  const Directions* directions = nullptr;  // of the sweep

  /// Empty slots of so many columns each.
  static ContextState allocate(const ModelConfig& config, const Placement& placement,
                               const std::vector<std::int64_t>& slot_columns, std::int64_t columns);
  /// The last `n` cells of a slot as a row of their own, a view.
  KvCache last_cells(std::int64_t slot, std::int64_t n) const;
};

}  // namespace rvsweep
