#include "rvsweep/storage/sweep_paths.hpp"

#include <spdlog/fmt/fmt.h>

#include "rvsweep/core/error.hpp"
#include "rvsweep/core/parse_number.hpp"

namespace rvsweep {
namespace {

constexpr std::string_view segment_prefix = "bundle-";

std::string segment_name(BundleId bundle) {
  RVSWEEP_EXPECT(bundle.value >= 0, "a bundle's id is 0 or more");
  return fmt::format("{}{:06}.h5", segment_prefix, bundle.value);
}

}  // namespace

using std::filesystem::path;

path plan_file(const path& sweep_folder) { return sweep_folder / "plan.h5"; }
path segments_folder(const path& sweep_folder) { return sweep_folder / "segments"; }
path segment_file(const path& sweep_folder, BundleId bundle) {
  return segments_folder(sweep_folder) / segment_name(bundle);
}
path results_file(const path& sweep_folder) { return sweep_folder / "results.h5"; }
path status_file(const path& sweep_folder) { return sweep_folder / "status.json"; }
path journal_file(const path& sweep_folder) { return sweep_folder / "journal.jsonl"; }
path log_file(const path& sweep_folder) { return sweep_folder / "log.txt"; }
path lock_file(const path& sweep_folder) { return sweep_folder / "lock"; }

std::optional<BundleId> bundle_of_segment_name(std::string_view file_name) {
  if (!file_name.starts_with(segment_prefix)) return std::nullopt;
  const auto digits =
      file_name.substr(segment_prefix.size(), file_name.find('.') - segment_prefix.size());
  const auto bundle = parse_number<std::int32_t>(digits);
  // One name per bundle: "bundle-12.h5" is no segment.
  if (!bundle || *bundle < 0 || file_name != segment_name(BundleId{*bundle})) return std::nullopt;
  return BundleId{*bundle};
}

}  // namespace rvsweep
