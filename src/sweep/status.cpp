#include "rvsweep/sweep/status.hpp"

#include "rvsweep/core/host.hpp"
#include "rvsweep/storage/files.hpp"
#include "rvsweep/storage/folder_lock.hpp"
#include "rvsweep/storage/status_file.hpp"
#include "rvsweep/storage/sweep_paths.hpp"
#include "rvsweep/sweep/progress.hpp"

namespace rvsweep {
namespace {

using nlohmann::ordered_json;

/// Rows of the bundles whose segment is there: what a run that died left behind.
std::int64_t committed_rows(const std::filesystem::path& folder, const BundleOfItem& items) {
  std::vector<bool> committed(static_cast<std::size_t>(items.n_bundles), false);
  for (const auto& file : list_folder(segments_folder(folder)))
    if (const auto bundle = bundle_of_segment_name(file.filename().string());
        bundle && bundle->value < items.n_bundles)
      committed[static_cast<std::size_t>(bundle->value)] = true;
  std::int64_t rows = 0;
  for (const std::int32_t bundle : items.row_bundle)
    rows += bundle != no_bundle && committed[static_cast<std::size_t>(bundle)];
  return rows;
}

/// False where the run's lock is gone or names a process of this host that is.
bool holder_lives(const std::filesystem::path& folder) {
  const auto holder = read_lock_holder(folder);
  return holder && (holder->host != host_name() || process_is_alive(holder->pid));
}

}  // namespace

ordered_json sweep_status(const std::filesystem::path& folder, const BundleOfItem& items) {
  RowCounts rows;
  rows.total = items.n_rows();
  for (const std::int32_t bundle : items.row_bundle) rows.refused += bundle == no_bundle;
  rows.done = committed_rows(folder, items);
  const bool lives = holder_lives(folder);
  ordered_json status{{"state", "stopped"}};
  if (const auto text = read_status(folder)) status = ordered_json::parse(*text, nullptr, false);
  if (status.is_discarded()) status = {{"state", "stopped"}};
  if (status["state"] == "running") {
    if (!lives) status["state"] = "died";
  } else if (lives && rows.left() == 0) {
    status["state"] = "merging";
  } else if (lives) {
    status = {{"state", "starting"}};  // what the file says is of the run before
  }
  status["rows_total"] = rows.total;
  status["rows_refused"] = rows.refused;
  status["rows_done"] = rows.done;
  status["rows_left"] = rows.left();
  return status;
}

bool is_over(const ordered_json& status) {
  return status["state"] == "finished" || status["state"] == "stopped" || status["state"] == "died";
}

}  // namespace rvsweep
