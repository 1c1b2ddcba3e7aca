#pragma once
// An arm compiled for one row: every number the batch needs, no arm kinds left.
#include <cstdint>
#include <optional>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/bundle.hpp"

namespace rvsweep {

/// Cells of a prompt's cache are its tokens 0..cached-1. Every row enters by feeding b[n-1]: at
/// position n-1 after n-1 cells (hold_last), or once more at position n after n cells (refeed).
struct CompiledRow {
  std::int32_t base = 0;                  // slot of the context whose cache the row starts from
  std::int32_t donor = -1;                // slot that gives values; -1: none
  std::int64_t n = 0, m = 0;              // tokens of base and donor
  std::int64_t n_after = 0, m_after = 0;  // their last tokens beyond the window's end
  std::int32_t first_token = 0;           // b[n-1]
  std::int64_t cached = 0;                // cells of base before the first feed
  bool refeeds = false;                   // b[n-1] is in those cells already
  bool neutral = false;                   // what is written equals what was there by design

  std::vector<bool> heads;  // that are written
  double alpha = 1;         // share of the donor in what is written

  // kv_cache
  std::vector<bool> cache_layers;  // layers whose cells are written; else empty
  std::vector<Cell> cells;         // written at each of them
  std::int64_t cells_dropped = 0;  // donor cells without a place in base, per layer and head
  bool replaces = false;           // the patched layers' cache is the donor's, its length too
  std::int64_t donor_cached = 0;   // m', the donor's cached cells
  std::int64_t rotate_by = 0;      // positions by which donor keys are turned further
  bool writes_k = true, writes_v = true;
  Growth growth = Growth::append;
  std::int64_t future_keys = 0;  // donor keys rotated beyond the first fed query's position

  // site
  std::vector<bool> site_layers;  // patched layers; else empty
  Site site = Site::v;
  std::int64_t window = 0;  // W': the last W' prompt positions up to the window's end
  bool persist = false;     // every generated token too, with the last row of the donor's window

  /// Position at which b[n-1] is fed; later tokens go on by one.
  std::int64_t first_position() const { return cached; }
  bool patches_cache(std::int64_t layer) const {
    return !cache_layers.empty() && cache_layers[layer];
  }
  bool patches_site(std::int64_t layer) const { return !site_layers.empty() && site_layers[layer]; }
  /// Cells that precede the first feed at a layer.
  std::int64_t cells_at(std::int64_t layer) const {
    return replaces && patches_cache(layer) ? donor_cached : cached;
  }
  /// The donor token whose row is put in at the row's token i (n or more: generated), if any.
  std::optional<std::int64_t> donor_token(std::int64_t i) const;
  std::int64_t n_layers_patched() const;
  std::int64_t first_site_layer() const;  // of a row that patches a site
  std::int64_t n_heads_written() const;
  bool operator==(const CompiledRow&) const = default;
};

/// `derived_slot`: slot of the bundle's first derived donor; contexts have their own places.
CompiledRow compile_row(const ArmSpec& arm, const BundleRow& row, const Bundle& bundle,
                        std::int64_t derived_slot, const ModelConfig& config);

}  // namespace rvsweep
