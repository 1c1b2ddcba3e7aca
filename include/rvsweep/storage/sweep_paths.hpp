#pragma once
// Names of the files in a sweep folder, in one place.
#include <filesystem>
#include <optional>
#include <string_view>

#include "rvsweep/core/ids.hpp"

namespace rvsweep {

/// The static part of a sweep, written once at launch.
std::filesystem::path plan_file(const std::filesystem::path& sweep_folder);
/// Holds one immutable file per computed bundle.
std::filesystem::path segments_folder(const std::filesystem::path& sweep_folder);
/// DIR/segments/bundle-000012.h5
std::filesystem::path segment_file(const std::filesystem::path& sweep_folder, BundleId bundle);
/// What merge makes of plan and segments.
std::filesystem::path results_file(const std::filesystem::path& sweep_folder);
/// Progress of the running sweep, rewritten about once a second.
std::filesystem::path status_file(const std::filesystem::path& sweep_folder);
/// What every launch handed out and what became of it.
std::filesystem::path journal_file(const std::filesystem::path& sweep_folder);
/// The log of rank 0, of all launches.
std::filesystem::path log_file(const std::filesystem::path& sweep_folder);
/// Names the process that runs the sweep.
std::filesystem::path lock_file(const std::filesystem::path& sweep_folder);

/// The bundle that a file name of the segments folder stands for; nothing for any other name.
std::optional<BundleId> bundle_of_segment_name(std::string_view file_name);

}  // namespace rvsweep
