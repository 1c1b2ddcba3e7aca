#include "rvsweep/storage/sweep_paths.hpp"

#include <cstdio>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"

namespace rvsweep {
namespace {
constexpr std::string_view segment_prefix = "bundle-";
constexpr std::string_view segment_suffix = ".h5";

std::string segment_name(BundleId bundle) {
  RVSWEEP_EXPECT(bundle.value >= 0, "a bundle's id is 0 or more");
  char digits[16];
  std::snprintf(digits, sizeof digits, "%06d", bundle.value);
  return std::string(segment_prefix) + digits + std::string(segment_suffix);
}

}  // namespace

std::filesystem::path plan_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "plan.h5";
}
std::filesystem::path segments_folder(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "segments";
}
std::filesystem::path segment_file(const std::filesystem::path& sweep_folder, BundleId bundle) {
  return segments_folder(sweep_folder) / segment_name(bundle);
}
std::filesystem::path results_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "results.h5";
}
std::filesystem::path status_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "status.json";
}
std::filesystem::path journal_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "journal.jsonl";
}
std::filesystem::path log_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "log.txt";
}
std::filesystem::path lock_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "lock";
}

std::optional<BundleId> bundle_of_segment_name(std::string_view file_name) {
  if (!file_name.starts_with(segment_prefix) || !file_name.ends_with(segment_suffix) ||
      file_name.size() <= segment_prefix.size() + segment_suffix.size())
    return std::nullopt;
  const auto digits = file_name.substr(
      segment_prefix.size(), file_name.size() - segment_prefix.size() - segment_suffix.size());
  const auto bundle = parse_number<std::int32_t>(digits);
  // One name per bundle: "bundle-12.h5" is no segment.
  if (!bundle || *bundle < 0 || file_name != segment_name(BundleId{*bundle})) return std::nullopt;
  return BundleId{*bundle};
}

}  // namespace rvsweep
