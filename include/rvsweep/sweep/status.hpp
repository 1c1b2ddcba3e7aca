#pragma once
// How far the sweep of a folder is, while it runs and after.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

/// The last DIR/status.json with its counts brought up to what is on the disk. `state` is starting,
/// running or merging while a run holds the folder, else finished, stopped, or died where it
/// could not say so itself. A run on another host cannot be asked and counts as living.
nlohmann::ordered_json sweep_status(const std::filesystem::path& folder, const BundleOfItem& items);

/// Whether no run holds the folder any more.
bool is_over(const nlohmann::ordered_json& status);

}  // namespace rvsweep
