#include "rvsweep/storage/sweep_paths.hpp"

#include <charconv>
#include <cstdio>

#include "rvsweep/core/error.hpp"

namespace rvsweep {
namespace {
constexpr std::string_view segment_prefix = "bundle-";
constexpr std::string_view segment_suffix = ".h5";

std::string segment_name(BundleId bundle) {
  RVSWEEP_EXPECT(bundle.value >= 0, "bundles count from 0");
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
      file_name.size() <= segment_prefix.size() + segment_suffix.size()) {
    return std::nullopt;
  }
  const char* begin = file_name.data() + segment_prefix.size();
  const char* end = file_name.data() + file_name.size() - segment_suffix.size();
  std::int32_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || stop != end || number < 0) return std::nullopt;
  // One name per bundle: "bundle-12.h5" is no segment.
  if (file_name != segment_name(BundleId{number})) return std::nullopt;
  return BundleId{number};
}

}  // namespace rvsweep
