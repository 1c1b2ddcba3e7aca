#pragma once
// Which items the plan gives to a bundle, and whether a segment holds exactly those.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/storage/segment.hpp"

namespace rvsweep {

/// Numbers of the items, ascending, by bundle.
struct ItemsOfBundle {
  explicit ItemsOfBundle(const BundleOfItem& items);
  std::vector<std::vector<std::int64_t>> prompts, rows;  // [n_bundles]
};

/// Compares the items of a sound segment with the plan: what is missing, doubled or out of place.
/// InputError when the segment cannot be read.
std::optional<std::string> items_problem(const std::filesystem::path& segment, BundleId bundle,
                                         const ItemsOfBundle& planned);

}  // namespace rvsweep
