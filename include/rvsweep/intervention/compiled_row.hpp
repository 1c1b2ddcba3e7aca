#pragma once
// An arm compiled for one row: slots, lengths and cells in place of prompts and settings.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/model_config/model_config.hpp"
#include "rvsweep/plan/arm.hpp"
#include "rvsweep/plan/bundle.hpp"
#include "rvsweep/plan/positions.hpp"

namespace rvsweep {

/// What compiled patches of both kinds have.
struct CompiledPatch {
  std::vector<bool> layers, heads;  // that are written
  std::int32_t donor = -1;          // slot that gives values
  std::int64_t m = 0;               // its tokens
  double alpha = 1;                 // share of the donor in what is written
  std::vector<Cell> cells = {};     // written at each layer
  std::int64_t cells_dropped = 0;   // donor cells outside base, per layer and head
  std::size_t place = 0;            // in the arm's list of patches
  bool neutral = false;             // what is written equals what was there, by design

  bool operator==(const CompiledPatch&) const = default;
};

/// (layer, head) pairs that a patch writes.
inline std::int64_t layer_heads(const CompiledPatch& patch) {
  return std::ranges::count(patch.layers, true) * std::ranges::count(patch.heads, true);
}

/// A patch of a site: some tokens of base become the donor's; its cells are tokens, at least one.
struct CompiledSitePatch : CompiledPatch {
  Site site = Site::v;
  Steps steps{0, 1};  // generated tokens take the donor token of the last cell
  SiteOperation operation = SiteOperation::replace;
  double amount = 1;           // see SiteTarget
  std::string direction = {};  // in place of the donor's rows

  std::int64_t first_layer() const;
  /// SiteEdit::weight of what it writes.
  double weight() const;
  /// Generated tokens that it writes in a row of so many steps.
  std::int64_t generated_in(std::int64_t n_steps) const {
    return std::max<std::int64_t>(
        std::min(steps.until, n_steps) - std::max<std::int64_t>(steps.from, 1), 0);
  }
  bool operator==(const CompiledSitePatch&) const = default;
};

/// A patch of the prompt's cache: cells of base become the donor's.
struct CompiledCachePatch : CompiledPatch {
  bool replaces = false;          // the layers' cache is the donor's, its length too
  std::int64_t donor_cached = 0;  // m', the donor's cached cells
  std::int64_t rotate_by = 0;     // positions by which donor keys are turned further
  bool writes_k = true, writes_v = true;
  Growth growth = Growth::append;
  std::int64_t at_step = 0;      // the step before whose feed they are written
  std::int64_t future_keys = 0;  // donor keys rotated beyond the position that this step feeds

  bool operator==(const CompiledCachePatch&) const = default;
};

/// Cells of a prompt's cache are its tokens 0..cached-1. Every row enters by feeding b[n-1]: at
/// position n-1 after n-1 cells (hold_last), or once more at position n after n cells (refeed).
struct CompiledRow {
  std::int32_t base = 0;            // slot of the context whose cache the row starts from
  std::int64_t n = 0, n_after = 0;  // its tokens, the last ones beyond the window's end
  std::int32_t first_token = 0;     // b[n-1]
  std::int64_t cached = 0;          // cells of base before the first feed
  bool refeeds = false;             // b[n-1] is in those cells already
  std::vector<CompiledSitePatch> sites;
  std::vector<CompiledCachePatch> cache;

  /// Position at which b[n-1] is fed; later tokens go on by one.
  std::int64_t first_position() const { return cached; }
  bool patches_site(std::int64_t layer) const;
  /// Whether some patch of a site writes at the prompt.
  bool patches_prompt() const;
  /// Prompt cells that a step sees at a layer.
  std::int64_t cells_at(std::int64_t layer, std::int64_t step = 0) const;
  /// Whether a patch gives its layers more or fewer cells than base has, which changes what is
  /// attended to whatever the cells hold.
  bool changes_length(const CompiledCachePatch& patch) const {
    return patch.replaces && patch.donor_cached != cached;
  }
  std::size_t n_patches() const { return sites.size() + cache.size(); }
  /// What fed tokens do to a layer's cache; append where no patch writes it.
  Growth growth_at(std::int64_t layer) const;
  /// How many last tokens hold all those that sites are patched at.
  std::int64_t reach() const;
  /// The lowest layer with a patched site, of a row that has one.
  std::int64_t first_site_layer() const;
  std::int64_t future_keys() const;  // of all patches
  /// The donor token whose row a patch puts in at the row's token i (n or more: generated), if any.
  std::optional<std::int64_t> donor_token(const CompiledSitePatch& patch, std::int64_t i) const;
  bool operator==(const CompiledRow&) const = default;
};

/// `derived_slot`: slot of the bundle's first derived donor; contexts have their own index as slot.
CompiledRow compile_row(const Arm& arm, const BundleRow& row, const Bundle& bundle,
                        std::int64_t derived_slot, const ModelConfig& config);

}  // namespace rvsweep
