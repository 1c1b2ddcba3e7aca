#pragma once
// What the prompts of a bundle, and the donors derived from them, leave behind unpatched.
#include <vector>

#include "rvsweep/model/kv_cache.hpp"
#include "rvsweep/model/site_edit.hpp"

namespace rvsweep {

/// A prompt's slot is its index in the bundle; derived donors come after the bundle's padded number
/// of prompts. All are right-aligned in the same columns.
struct ContextState {
  KvCache cache;                        // [n_layers, slots, n_kv_heads, columns, head_dim]
  std::vector<SiteCapture> sites = {};  // last tokens at every (site, layer) that some row patches
  std::vector<SiteCapture> streams = {};  // resid_pre of the prompts' last tokens, where the site
                                          // patches of some row begin
};

}  // namespace rvsweep
