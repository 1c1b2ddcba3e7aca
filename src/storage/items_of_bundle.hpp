#pragma once
// Which items the plan gives to a bundle, and whether a segment holds exactly those.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rvsweep/storage/plan_file.hpp"
#include "rvsweep/storage/segment.hpp"

namespace rvsweep {

/// The items of each bundle by number (plan_file.hpp), ascending.
struct ItemsOfBundle {
  explicit ItemsOfBundle(const BundleOfItem& items);
  std::vector<std::vector<std::int64_t>> prompts, rows;  // [n_bundles]
};

/// The first item that a segment holds twice or against the plan, or lacks; none where all are
/// there once.
std::optional<std::string> items_problem(const SoundSegment& segment, const ItemsOfBundle& planned);

}  // namespace rvsweep
