#pragma once
// An arm compiled for one row: every number the batch needs, no arm kinds left.
#include <cstdint>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/bundle.hpp"

namespace rvsweep {

/// Cells of a prompt's cache are its tokens 0..cached-1. Every row enters by feeding b[n-1]: at
/// position n-1 after n-1 cells (hold_last), or once more at position n after n cells (refeed).
struct RowPlan {
  std::int32_t base = 0;         // context whose cache the row starts from
  std::int32_t donor = -1;       // context that gives values; -1: none
  std::int32_t first_token = 0;  // b[n-1]
  std::int64_t cached = 0;       // cells of base before the first feed
  bool refeeds = false;          // b[n-1] is in those cells already

  std::vector<bool> cache_layers;  // kv_cache: layers whose cells become the donor's; else empty
  std::int64_t donor_cached = 0;   // donor cells at those layers
  std::int64_t rotate_by = 0;      // positions by which donor keys are turned further
  Growth growth = Growth::append;
  std::int64_t future_keys = 0;  // donor keys rotated beyond the first fed query's position

  std::vector<bool> v_layers;  // v_proj: patched layers; else empty
  std::int64_t v_window = 0;   // W': the last W' prompt positions
  bool v_persist = false;      // every later token's V row too
  bool neutral = false;        // donor and base cells come from equal tokens: no change expected

  /// Position at which b[n-1] is fed; later tokens go on by one.
  std::int64_t first_position() const { return cached; }
  bool patches_cache(std::int64_t layer) const {
    return !cache_layers.empty() && cache_layers[layer];
  }
  bool patches_v(std::int64_t layer) const { return !v_layers.empty() && v_layers[layer]; }
  /// Cells that precede the first feed at a layer.
  std::int64_t cells_at(std::int64_t layer) const {
    return patches_cache(layer) ? donor_cached : cached;
  }
};

RowPlan compile_row(const ArmSpec& arm, const BundleRow& row,
                    const std::vector<BundleContext>& contexts, std::int64_t n_layers);

}  // namespace rvsweep
