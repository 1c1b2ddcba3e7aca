#pragma once
// How far the sweep of a folder is, while it runs and after.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rvsweep/storage/plan_file.hpp"

namespace rvsweep {

/// The last DIR/status.json, with the counts of what is on the disk now. `state` is starting,
/// running or merging while a run holds the folder, else finished, stopped or died. A run on
/// another host cannot be asked and counts as living.
nlohmann::ordered_json sweep_status(const std::filesystem::path& folder, const BundleOfItem& items);

/// Whether no run holds the folder any more.
bool is_over(const nlohmann::ordered_json& status);

}  // namespace rvsweep
